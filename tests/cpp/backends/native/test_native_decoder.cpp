// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The native decoder behind the interface of a backend: the same answers in any batch, for any number of threads and
// after any other image, and what it refuses.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "backends/backend.hpp"
#include "backends/native/decoder/sam_decoder.hpp"
#include "base/sha256.hpp"
#include "bundle/bundle.hpp"
#include "medsam/error.hpp"
#include "support/raised.hpp"
#include "support/sam_decoder_file.hpp"
#include "support/tiny_bundle.hpp"

namespace medsam::backends {
namespace {

constexpr std::int64_t kGrid = 16, kChannels = 256, kSide = 4 * kGrid;

// A box, a box, and a point with the token of "no box".
struct Asked {
  std::vector<float> coords;
  std::vector<std::int32_t> labels;
};
const std::vector<Asked> kPrompts = {{{4, 5, 40, 44}, {2, 3}}, {{10, 2, 60, 30}, {2, 3}}, {{20, 20, 0, 0}, {1, -1}}};

class NativeDecoder : public ::testing::Test {
 protected:
  void SetUp() override {
    backend_ = create_native("CPU");
    if (backend_ == nullptr) GTEST_SKIP() << "no fast products on this processor";
    const Bundle bundle = read_bundle(testing::write_tiny_bundle(folder_.path("bundle")));
    for (const char* role : {"decoder", "decoder_mask"}) {
      ModelFile& model = models_[role] = bundle.model(role);
      model.path = folder_.path("weights");
      model.onnx = false;
      model.prompt_frame = kSide;
      model.point_shift = 0.5;
      for (TensorSpec& input : model.inputs) {
        if (input.name == "image_embedding") input.shape = {1, kChannels, kGrid, kGrid};
        if (input.name == "mask_input") input.shape = {-1, 1, kSide, kSide};
      }
      model.outputs[0].shape = {-1, -1, kSide, kSide};
    }
  }
  std::shared_ptr<const CompiledModel> compile(const testing::TinyVitFile& file, const char* precision = kF32Fused,
                                               int threads = 1, const char* role = "decoder") {
    const std::string bytes = file.bytes();
    ModelFile& model = models_[role];
    testing::write_file(model.path, bytes);
    model.bytes = bytes.size();
    model.sha256 = sha256_hex(bytes);
    return backend_->compile(model, {precision, threads, {}}, cache_);
  }
  std::string refusal(const testing::TinyVitFile& file, const char* role = "decoder") {
    return testing::raised<ModelError>([&] { compile(file, kF32Fused, 1, role); });
  }
  static TensorPtr embedding(float scale) {
    auto tensor = std::make_shared<HostTensor>(Shape{1, kChannels, kGrid, kGrid});
    for (std::int64_t i = 0; i < element_count(tensor->shape()); ++i) {
      tensor->mutable_host()[i] = scale * static_cast<float>(i % 83 - 41) / 41;
    }
    return tensor;
  }
  // Logits and qualities of these prompts in one run, prompt after prompt.
  static std::vector<float> decode(Request& request, const TensorPtr& image, const std::vector<Asked>& prompts,
                                   const std::vector<std::int32_t>& mask_index, const std::vector<float>& mask = {}) {
    const auto n = static_cast<std::int64_t>(prompts.size());
    request.bind(0, image);
    auto* coords = static_cast<float*>(request.input(1, {n, 2, 2}));
    auto* labels = static_cast<std::int32_t*>(request.input(2, {n, 2}));
    for (const Asked& prompt : prompts) {
      coords = std::copy(prompt.coords.begin(), prompt.coords.end(), coords);
      labels = std::copy(prompt.labels.begin(), prompt.labels.end(), labels);
    }
    const auto masks = static_cast<std::int64_t>(mask_index.size());
    std::copy(mask_index.begin(), mask_index.end(), static_cast<std::int32_t*>(request.input(3, {masks})));
    if (!mask.empty()) {
      auto* to = static_cast<float*>(request.input(4, {n, 1, kSide, kSide}));
      for (std::int64_t i = 0; i < n; ++i) to = std::copy(mask.begin(), mask.end(), to);
    }
    const std::vector<TensorPtr> outputs = request.run();
    EXPECT_EQ(outputs.at(0)->shape(), (Shape{n, masks, kSide, kSide}));
    EXPECT_EQ(outputs.at(1)->shape(), (Shape{n, masks}));
    EXPECT_TRUE(outputs[0]->finite() && outputs[1]->finite());
    std::vector<float> answers;
    for (std::int64_t i = 0; i < n; ++i) {
      const float* logits = outputs[0]->host() + i * masks * kSide * kSide;
      answers.insert(answers.end(), logits, logits + masks * kSide * kSide);
      answers.insert(answers.end(), outputs[1]->host() + i * masks, outputs[1]->host() + (i + 1) * masks);
    }
    return answers;
  }
  static bool same(const std::vector<float>& a, const std::vector<float>& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
  }
  void expect_the_same_in_any_batch(const char* precision);

  testing::TemporaryFolder folder_;
  CacheFolder cache_{"none", {}};
  std::unique_ptr<Backend> backend_;
  ModelSet models_;
};

void NativeDecoder::expect_the_same_in_any_batch(const char* precision) {
  const TensorPtr image = embedding(1);
  const testing::TinyVitFile file = testing::sam_decoder_file();
  const auto request = compile(file, precision)->create_request();
  std::vector<float> one_by_one;
  for (const Asked& prompt : kPrompts) {
    const std::vector<float> answer = decode(*request, image, {prompt}, {1, 2, 3});
    one_by_one.insert(one_by_one.end(), answer.begin(), answer.end());
  }
  EXPECT_TRUE(same(decode(*request, image, kPrompts, {1, 2, 3}), one_by_one));
  std::vector<Asked> many;
  std::vector<float> expected;
  for (int i = 0; i < 7; ++i) {  // more than a batch, with a rest
    many.insert(many.end(), kPrompts.begin(), kPrompts.end());
    expected.insert(expected.end(), one_by_one.begin(), one_by_one.end());
  }
  const auto on_three = compile(file, precision, 3)->create_request();
  EXPECT_TRUE(same(decode(*on_three, image, many, {1, 2, 3}), expected));
  EXPECT_FALSE(std::equal(one_by_one.begin(), one_by_one.begin() + 3 * kSide * kSide,
                          one_by_one.begin() + 3 * (kSide * kSide + 1)))
      << "or this test shows nothing";
}

TEST_F(NativeDecoder, AnswersAreTheSameInAnyBatchAndForAnyThreads) {
  for (const char* precision : {kF32Fused, kBf16Fused}) {
    if (backend_->native(precision)) expect_the_same_in_any_batch(precision);
  }
}

TEST_F(NativeDecoder, ItsBatchesAreAPowerOfTwo) {
  const std::size_t largest = compile(testing::sam_decoder_file())->largest_batch();
  EXPECT_GT(largest, 0U);
  EXPECT_EQ(largest & (largest - 1), 0U);
}

TEST_F(NativeDecoder, EachImageIsDecodedAsItself) {
  const auto request = compile(testing::sam_decoder_file())->create_request();
  const TensorPtr image = embedding(1);
  const std::vector<float> first = decode(*request, image, kPrompts, {0});
  const std::vector<float> other = decode(*request, embedding(0.5F), kPrompts, {0});
  EXPECT_FALSE(same(first, other));
  EXPECT_TRUE(same(decode(*request, image, kPrompts, {0}), first));
  EXPECT_TRUE(same(decode(*request, image, kPrompts, {0}), first)) << "the image that is prepared already";
  // One after the other in, most likely, the same memory.
  for (const float scale : {0.5F, 1.0F, 0.5F}) {
    EXPECT_TRUE(same(decode(*request, embedding(scale), kPrompts, {0}), scale < 1 ? other : first));
  }
}

TEST_F(NativeDecoder, AMaskIsPartOfItsPrompt) {
  const testing::TinyVitFile file = testing::sam_decoder_file();
  const TensorPtr image = embedding(1);
  const auto plain = compile(file)->create_request();
  const auto masked = compile(file, kF32Fused, 1, "decoder_mask")->create_request();
  std::vector<float> mask(kSide * kSide, -1);
  std::fill_n(mask.begin(), kSide * kSide / 2, 4.0F);
  const std::vector<float> with_mask = decode(*masked, image, kPrompts, {0}, mask);
  EXPECT_FALSE(same(with_mask, decode(*plain, image, kPrompts, {0})));
  std::reverse(mask.begin(), mask.end());
  EXPECT_FALSE(same(with_mask, decode(*masked, image, kPrompts, {0}, mask)));
}

TEST_F(NativeDecoder, WhatIsNoPromptIsRefusedWhereItComesIn) {
  const auto request = compile(testing::sam_decoder_file())->create_request();
  const TensorPtr image = embedding(1);
  const auto raised = [&](const std::vector<Asked>& prompts, const std::vector<std::int32_t>& index) {
    return testing::raised<BackendError>([&] { decode(*request, image, prompts, index); });
  };
  for (const std::int32_t label : {-2, 4, 1 << 30}) {
    EXPECT_NE(raised({{{1, 1, 2, 2}, {label, 3}}}, {0}).find("point_labels"), std::string::npos);
  }
  for (const std::int32_t index : {-1, 4, 1 << 30}) {
    EXPECT_NE(raised(kPrompts, {0, index}).find("mask_index"), std::string::npos);
  }
  EXPECT_THROW(request->bind(1, image), BackendError);
  EXPECT_THROW(request->input(0, {1}), BackendError);
  EXPECT_THROW(request->input(9, {1}), BackendError);
  request->bind(0, std::make_shared<HostTensor>(Shape{1, kChannels, kGrid, kGrid / 2}));
  EXPECT_THROW(request->run(), BackendError);
}

// Each tensor is taken out of the header, and turned where that is another shape; the numbers stay as they are.
TEST_F(NativeDecoder, EveryTensorMustBeThereInItsShape) {
  const std::string bytes = testing::sam_decoder_file().bytes();
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  const nlohmann::json good = nlohmann::json::parse(bytes.substr(sizeof length, length));
  const auto loaded = [&](const nlohmann::json& header) {
    std::string text = header.dump();
    text.resize((text.size() + 7) / 8 * 8, ' ');
    const std::uint64_t size = text.size();
    std::string file(reinterpret_cast<const char*>(&size), sizeof size);
    file.append(text).append(bytes, sizeof length + length);
    return testing::raised<ModelError>([&] {
      const native::Weights weights("weights", file);
      static_cast<void>(native::load_sam_decoder(weights, kernels::Format::f32));
    });
  };
  ASSERT_EQ(loaded(good), "none");
  for (const auto& [name, entry] : good.items()) {
    if (name == "__metadata__") continue;
    nlohmann::json header = good;
    header.erase(name);
    EXPECT_EQ(loaded(header),
              "weights: has no tensor \"" + name + "\"; export the bundle again with this version's tools");
    header[name] = entry;
    auto& shape = header[name]["shape"];
    std::reverse(shape.begin(), shape.end());
    if (shape == entry["shape"]) continue;
    EXPECT_NE(loaded(header).find("tensor \"" + name + "\": got shape"), std::string::npos) << name;
  }
}

// What is not in its tensors' shapes would give wrong masks without an error.
TEST_F(NativeDecoder, ItsHeaderAndTheManifestMustAgree) {
  const auto changed = [](const char* field, const nlohmann::json& value) {
    testing::TinyVitFile file = testing::sam_decoder_file();
    file.about[field] = value;
    return file;
  };
  EXPECT_NE(refusal(changed("frame", {2 * kSide})).find("a frame of 128"), std::string::npos);
  EXPECT_NE(refusal(changed("point_shift", "0")).find("prompts shifted by 0"), std::string::npos);
  EXPECT_NE(refusal(changed("grid", {2 * kGrid})).find("takes an embedding"), std::string::npos);
  for (const auto& [field, value] : {std::pair<const char*, nlohmann::json>("heads", {4}),
                                     {"masks", {3}},
                                     {"mask_channels", {8}},
                                     {"grid", {0}},
                                     {"grid", {16, 16}},
                                     {"frame", nlohmann::json::array()},
                                     {"point_shift", "0.25"},
                                     {"point_shift", 0.5}}) {
    EXPECT_TRUE(refusal(changed(field, value)).starts_with(models_["decoder"].path + ": ")) << field << " " << value;
  }
  models_["decoder"].prompt_frame = 2 * kSide;
  EXPECT_NE(refusal(testing::sam_decoder_file()).find("a frame of 64"), std::string::npos);
  models_["decoder"].prompt_frame = kSide;
  models_["decoder"].outputs[0].shape = {-1, -1, 2 * kSide, 2 * kSide};
  EXPECT_NE(refusal(testing::sam_decoder_file()).find("makes logits"), std::string::npos);
}

TEST_F(NativeDecoder, AMaskNeedsItsLayers) {
  EXPECT_EQ(refusal(testing::sam_decoder_file(kGrid, false)), "none");
  EXPECT_NE(refusal(testing::sam_decoder_file(kGrid, false), "decoder_mask").find("no layers for a mask_input"),
            std::string::npos);
}

TEST_F(NativeDecoder, AnInputThatItDoesNotKnowIsRefused) {
  TensorSpec more = models_["decoder"].inputs[1];
  more.name = "crop\n";
  models_["decoder"].inputs.push_back(more);
  EXPECT_NE(refusal(testing::sam_decoder_file()).find(R"(does not take the input "crop\n")"), std::string::npos);
  models_["decoder"].inputs = {models_["decoder"].inputs[0]};
  EXPECT_NE(refusal(testing::sam_decoder_file()).find("needs the input"), std::string::npos);
}

TEST_F(NativeDecoder, AStageIsOfItsOwnArchitecture) {
  const std::string text = refusal(testing::tiny_vit_file());
  EXPECT_NE(text.find(R"(holds the architecture "tiny_vit", expected sam_decoder for decoder)"), std::string::npos)
      << text;
  models_["decoder"].role = "encoder";
  EXPECT_NE(refusal(testing::sam_decoder_file()).find(R"("sam_decoder", expected tiny_vit)"), std::string::npos);
}

}  // namespace
}  // namespace medsam::backends
