// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "support/fake_backend.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "backends/backend.hpp"
#include "medsam/error.hpp"
#include "platform/path.hpp"
#include "support/tiny_bundle.hpp"

namespace medsam::testing {

FakeBackendCounters& fake_backend() {
  static FakeBackendCounters counters;
  return counters;
}

}  // namespace medsam::testing

namespace medsam::backends {

namespace {

using testing::fake_backend;
using testing::kEmbeddingChannels;
using testing::kEmbeddingSide;
using testing::kInputSize;
using testing::kMaskSide;

class FakeRequest final : public Request {
 public:
  explicit FakeRequest(std::string role) : role_(std::move(role)) {}

  void* input(std::size_t index, const Shape& shape) override {
    shapes_[index] = shape;
    auto& buffer = inputs_[index];
    buffer.assign(static_cast<std::size_t>(element_count(shape)), -12345.0f);
    return buffer.data();
  }
  void bind(std::size_t index, const TensorPtr& tensor) override { bound_[index] = tensor; }

  std::vector<TensorPtr> run() override {
    fake_backend().runs.fetch_add(1);
    if (fake_backend().fail_after.load() >= 0 && fake_backend().fail_after.fetch_sub(1) == 0) {
      throw BackendError("fake: told to fail");
    }
    return role_ == "encoder" ? encode() : decode();
  }

  std::vector<TensorPtr> run_part(const MapPart& part) override {
    fake_backend().parts.fetch_add(1);
    std::vector<TensorPtr> outputs = run();
    if (!fake_backend().whole_maps) {
      outputs[0] = part_of(*outputs[0], {part.height - fake_backend().rows_missing, part.width});
    }
    return outputs;
  }

 private:
  // A tensor of its own, with nothing behind what was asked for.
  static TensorPtr part_of(const Tensor& whole, const MapPart& part) {
    const Shape& shape = whole.shape();
    auto cut = std::make_shared<HostTensor>(Shape{shape[0], shape[1], part.height, part.width});
    float* to = cut->mutable_host();
    for (std::int64_t map = 0; map < shape[0] * shape[1]; ++map) {
      for (std::int64_t y = 0; y < part.height; ++y) {
        const float* row = whole.host() + (map * shape[2] + std::min(y, shape[2] - 1)) * shape[3];
        to = std::copy_n(row, part.width, to);
      }
    }
    return cut;
  }

  std::vector<TensorPtr> encode() {
    constexpr int kBlock = kInputSize / kEmbeddingSide;
    auto out = std::make_shared<HostTensor>(Shape{1, kEmbeddingChannels, kEmbeddingSide, kEmbeddingSide});
    for (int c = 0; c < kEmbeddingChannels; ++c) {
      for (int i = 0; i < kEmbeddingSide * kEmbeddingSide; ++i) {
        float sum = 0;
        for (int k = 0; k < kBlock * kBlock; ++k) {
          const int y = i / kEmbeddingSide * kBlock + k / kBlock;
          const int x = i % kEmbeddingSide * kBlock + k % kBlock;
          sum += inputs_.at(0)[static_cast<std::size_t>((std::min(c, 2) * kInputSize + y) * kInputSize + x)];
        }
        out->mutable_host()[c * kEmbeddingSide * kEmbeddingSide + i] = sum / (kBlock * kBlock) + static_cast<float>(c);
      }
    }
    if (fake_backend().answer_nan) out->mutable_host()[7] = std::numeric_limits<float>::quiet_NaN();
    return {out};
  }

  std::vector<TensorPtr> decode() {
    const std::int64_t n = shapes_.at(1)[0], tokens = shapes_.at(1)[1], masks = shapes_.at(3)[0];
    int largest = fake_backend().largest_batch.load();
    while (largest < n && !fake_backend().largest_batch.compare_exchange_weak(largest, static_cast<int>(n))) {
    }
    auto logits = std::make_shared<HostTensor>(Shape{n, masks, kMaskSide, kMaskSide});
    auto iou = std::make_shared<HostTensor>(Shape{n, masks});
    const auto* labels = reinterpret_cast<const std::int32_t*>(inputs_.at(2).data());
    const auto* index = reinterpret_cast<const std::int32_t*>(inputs_.at(3).data());
    for (std::int64_t i = 0; i < n * masks; ++i) {
      const std::int64_t prompt = i / masks;
      const auto token = static_cast<float>(index[i % masks]);
      fill(inputs_.at(1).data() + prompt * tokens * 2, labels + prompt * tokens, tokens, token / 100,
           logits->mutable_host() + i * kMaskSide * kMaskSide);
      if (role_ == "decoder_mask") {
        for (int p = 0; p < kMaskSide * kMaskSide; ++p) {
          logits->mutable_host()[i * kMaskSide * kMaskSide + p] +=
              inputs_.at(4)[static_cast<std::size_t>(prompt * kMaskSide * kMaskSide + p)];
        }
      }
      iou->mutable_host()[i] = 0.5f + token / 10 + bound_.at(0)->host()[0];
    }
    if (fake_backend().answer_nan) logits->mutable_host()[3] = std::numeric_limits<float>::infinity();
    return {logits, iou};
  }

  static void fill(const float* coords, const std::int32_t* labels, std::int64_t tokens, float offset, float* out) {
    constexpr float kScale = static_cast<float>(kInputSize) / kMaskSide;
    for (int p = 0; p < kMaskSide * kMaskSide; ++p) {
      const float x = (static_cast<float>(p % kMaskSide) + 0.5f) * kScale;
      const float y = (static_cast<float>(p / kMaskSide) + 0.5f) * kScale;
      bool inside = false;
      for (std::int64_t t = 0; t < tokens; ++t) {
        const float tx = coords[2 * t], ty = coords[2 * t + 1];
        if (labels[t] == 1) inside = inside || std::hypot(x - tx, y - ty) <= 4;
        if (labels[t] == 2) {
          inside = inside || (x >= tx && y >= ty && x <= coords[2 * t + 2] + 1 && y <= coords[2 * t + 3] + 1);
        }
      }
      out[p] = (inside ? 1.0f : -1.0f) + offset;
    }
  }

  std::string role_;
  std::map<std::size_t, std::vector<float>> inputs_;
  std::map<std::size_t, Shape> shapes_;
  std::map<std::size_t, TensorPtr> bound_;
};

class FakeModel final : public CompiledModel {
 public:
  explicit FakeModel(std::string role) : role_(std::move(role)) {}
  std::unique_ptr<Request> create_request() const override { return std::make_unique<FakeRequest>(role_); }

 private:
  std::string role_;
};

class FakeBackend final : public Backend {
 public:
  explicit FakeBackend(std::string id) : device_id_(std::move(id)) {}
  std::string library() const override { return "fake 1"; }
  std::string device_name() const override { return "fake device"; }
  std::string device_id() const override { return device_id_; }
  bool native(const std::string& format) const override { return format != "f16"; }
  std::shared_ptr<const CompiledModel> compile(const ModelSource& source, const CompileOptions& options,
                                               const CacheFolder&) const override {
    const ModelFile& model = source.file();
    if (fake_backend().before_reading) fake_backend().before_reading(model.path);
    static_cast<void>(source.read());
    fake_backend().compiled.fetch_add(1);
    {
      const std::lock_guard lock(fake_backend().mutex);
      fake_backend().compiled_as.insert(platform::file_name(model.path) + " " + options.precision + " " +
                                        std::to_string(options.threads));
    }
    return std::make_shared<FakeModel>(model.role);
  }

 private:
  std::string device_id_;
};

/// The same arithmetic under another name.
class FakeNative final : public Backend {
 public:
  std::string library() const override { return "fake fused 1, fake fused decoder 1"; }
  std::string revision(Stage stage) const override {
    return stage == Stage::encoder ? "fake fused 1" : "fake fused decoder 1";
  }
  std::string device_name() const override { return "fake device"; }
  std::string device_id() const override { return "CPU"; }
  bool native(const std::string& format) const override { return format == kBf16Fused || format == kF32Fused; }
  bool takes(const Variant& variant) const override { return variant.runner == Runner::native; }
  std::shared_ptr<const CompiledModel> compile(const ModelSource& model, const CompileOptions& options,
                                               const CacheFolder& cache) const override {
    return FakeBackend("CPU").compile(model, options, cache);
  }
};

}  // namespace

std::unique_ptr<Backend> create_backend(const std::string& device) {
  fake_backend().created.fetch_add(1);
  if (device == "cuda:0" && fake_backend().device != nullptr) {
    return fake_backend().device(std::make_unique<FakeBackend>(device));
  }
  if (device == "AUTO") return std::make_unique<FakeBackend>(fake_backend().finds_gpu ? "GPU" : "CPU");
  if (device != "CPU") throw Unsupported("device: got \"" + device + "\", expected \"CPU\"");
  return std::make_unique<FakeBackend>(device);
}

std::unique_ptr<Backend> create_native(const std::string& device) {
  if (device != "CPU" || !fake_backend().fused) return nullptr;
  return std::make_unique<FakeNative>();
}

}  // namespace medsam::backends
