// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "backends/tensorrt/pixels.hpp"

#include <algorithm>
#include <cstring>

#include "kernels/pixels/math/resize_plan.hpp"
#include "medsam/error.hpp"

namespace medsam::backends::tensorrt {

namespace {

// Counts before the mask, so that both cross the bus in one copy.
constexpr std::size_t kCounts = 64;

// Writes `label` where the mask, dense (height, width) bytes, is not 0: only inside its bounding box.
template <class Label>
void paint(const std::uint8_t* mask, const kernels::MaskStats& stats, const kernels::UpsampleThresholdParams& out) {
  const auto label = static_cast<Label>(out.label);
  for (std::int64_t y = stats.y0; y <= stats.y1; ++y) {
    auto* row = reinterpret_cast<Label*>(static_cast<std::byte*>(out.out) + y * out.out_row_stride);
    const std::uint8_t* from = mask + y * out.width;
    for (std::int64_t x = stats.x0; x <= stats.x1; ++x) row[x] = from[x] != 0 ? label : row[x];
  }
}

void paint_labels(const std::uint8_t* mask, const kernels::MaskStats& stats,
                  const kernels::UpsampleThresholdParams& out) {
  switch (out.label_type) {
    case kernels::LabelType::u8:
      return paint<std::uint8_t>(mask, stats, out);
    case kernels::LabelType::u16:
      return paint<std::uint16_t>(mask, stats, out);
    case kernels::LabelType::u32:
      return paint<std::uint32_t>(mask, stats, out);
  }
}

}  // namespace

void check_queued(const kernels::cuda::Status& status, const char* what) {
  if (status.code == kernels::cuda::Status::Code::queued) return;
  throw BackendError(std::string("CUDA: ") + what + ": " + (status.message != nullptr ? status.message : "failed"));
}

Flags::Flags(const Device& device, std::size_t count, const Stream& stream)
    : device_(device, count * sizeof(std::int32_t), stream), host_(count * sizeof(std::int32_t)) {}

std::int32_t* Flags::slot(std::size_t index) const { return static_cast<std::int32_t*>(device_.get()) + index; }

void Flags::fetch(const Stream& stream) const {
  check(cudaMemcpyAsync(host_.get(), device_.get(), device_.bytes(), cudaMemcpyDeviceToHost, stream.get()),
        "fetching flags");
}

bool Flags::get(std::size_t index) const { return static_cast<const std::int32_t*>(host_.get())[index] != 0; }

bool ImageUpload::take(const kernels::Pixels& image, const kernels::ResizeNormalizeParams& params) {
  if (kernels::cuda::table().resize_normalize_refusal(image, params) != nullptr) return false;
  const std::int64_t row = image.width * image.channels * static_cast<std::int64_t>(kernels::pixel_bytes(image.type));
  used_ = static_cast<std::size_t>(row * image.height);
  grow(staging_, used_);
  for (std::int64_t y = 0; y < image.height; ++y) {
    std::memcpy(static_cast<std::byte*>(staging_->get()) + y * row,
                static_cast<const std::byte*>(image.data) + y * image.row_stride, static_cast<std::size_t>(row));
  }
  image_ = image;
  image_.data = nullptr;
  image_.row_stride = row;
  params_ = params;
  return true;
}

void ImageUpload::queue(const Device& device, const Stream& stream, float* out, std::int32_t* finite) {
  const kernels::cuda::Table& table = kernels::cuda::table();
  grow(pixels_, device, used_, stream);
  image_.data = pixels_->get();
  grow(workspace_, device, std::max<std::size_t>(1, table.resize_normalize_workspace(image_, params_)), stream);
  check(cudaMemcpyAsync(pixels_->get(), staging_->get(), used_, cudaMemcpyHostToDevice, stream.get()),
        "copying an image to the device");
  check_queued(table.resize_normalize(image_, params_, out, finite, workspace_->get(), stream.get()),
               "resizing an image");
}

/// One call's stream and memory.
class MaskWriters::Writer {
 public:
  kernels::MaskStats write(const Device& device, const float* logits, const Tensor::Map& map,
                           const kernels::UpsampleThresholdParams& params) {
    const kernels::cuda::Table& table = kernels::cuda::table();
    kernels::UpsampleThresholdParams there = params;
    there.logits = logits;
    if (map.square != 0) {
      grow(square_, device, static_cast<std::size_t>(map.square * map.square) * sizeof(float), stream_);
      auto* square = static_cast<float*>(square_->get());
      check_queued(table.upsample_square(logits, map.height, map.width, map.square, square, stream_.get()),
                   "upsampling logits");
      there.logits = square;
    }
    const std::size_t bytes = kCounts + static_cast<std::size_t>(params.height * params.width);
    grow(workspace_, device, std::max<std::size_t>(1, table.upsample_threshold_workspace(there)), stream_);
    grow(mask_, device, bytes, stream_);
    grow(staging_, bytes);
    auto* mask = static_cast<std::byte*>(mask_->get()) + kCounts;
    there.out = mask;
    there.label_type = kernels::LabelType::u8;
    there.out_row_stride = params.width;
    there.label = 1;
    check(cudaMemsetAsync(mask, 0, bytes - kCounts, stream_.get()), "clearing a mask");
    check_queued(table.upsample_threshold(there, static_cast<kernels::cuda::MaskCounts*>(mask_->get()),
                                          workspace_->get(), stream_.get()),
                 "making a mask");
    check(cudaMemcpyAsync(staging_->get(), mask_->get(), bytes, cudaMemcpyDeviceToHost, stream_.get()),
          "copying a mask to the host");
    stream_.wait();
    const auto* got = static_cast<const std::byte*>(staging_->get());
    kernels::cuda::MaskCounts counts{};
    std::memcpy(&counts, got, sizeof counts);
    const kernels::MaskStats stats = kernels::cuda::stats_of(counts);
    paint_labels(reinterpret_cast<const std::uint8_t*>(got + kCounts), stats, params);
    return stats;
  }

 private:
  Stream stream_;
  std::unique_ptr<DeviceBuffer> square_, workspace_, mask_;  // mask_: the counts, then the mask
  std::unique_ptr<PinnedBuffer> staging_;                    // of mask_
};

MaskWriters::MaskWriters(Device device) : device_(std::move(device)) {}
MaskWriters::~MaskWriters() = default;

kernels::MaskStats MaskWriters::write(const float* logits, const Tensor::Map& map,
                                      const kernels::UpsampleThresholdParams& params) {
  device_.use();
  std::unique_ptr<Writer> writer;
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      writer = std::move(idle_.back());
      idle_.pop_back();
    }
  }
  if (!writer) writer = std::make_unique<Writer>();
  const kernels::MaskStats stats = writer->write(device_, logits, map, params);  // one that fails is not kept
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(writer));
  return stats;
}

}  // namespace medsam::backends::tensorrt
