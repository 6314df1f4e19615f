// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A native decoder's weights file is not trusted: it is refused in one line, or makes a model that runs within its
// memory (AddressSanitizer looks on).
#include <functional>

#include "bundle/variant.hpp"
#include "medsam/error.hpp"
#include "support/raised.hpp"
#include "support/sam_decoder_test.hpp"

namespace medsam::testing {
namespace {

using Change = std::function<void(FoldedDecoderFile&)>;

class SamFile : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { good_ = new FoldedDecoderFile(folded_decoder_file(random_sam_checkpoint())); }
  static void TearDownTestSuite() { delete good_; }

  /// Loads the good file with a change; the message of its refusal.
  static std::string refusal(const Change& change, const SamSizes& sizes = {}) {
    FoldedDecoderFile file = *good_;
    change(file);
    const std::string bytes = file.bytes();
    std::string message = raised<ModelError>([&] { static_cast<void>(load_sam_model(bytes, sizes, kF32Fused)); });
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    return message;
  }
  static void expect_refused(const Change& change, const std::string& words, const SamSizes& sizes = {}) {
    const std::string message = refusal(change, sizes);
    EXPECT_NE(message.find(words), std::string::npos) << message << "\nexpected " << words;
  }
  static Change header(const std::string& name, const nlohmann::json& value) {
    return [=](FoldedDecoderFile& file) { file.about[name] = value; };
  }
  static const FoldedDecoderFile* good_;
};
const FoldedDecoderFile* SamFile::good_ = nullptr;

// Only the header changes: the 16 MB behind it are the same.
TEST_F(SamFile, EachTensorIsNeededInItsShape) {
  std::string bytes = good_->bytes();
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  const nlohmann::json head = nlohmann::json::parse(bytes.substr(sizeof length, length));
  const auto refused = [&](const nlohmann::json& changed, const std::string& words) {
    std::string text = changed.dump();
    ASSERT_LE(text.size(), length);
    text.resize(length, ' ');
    std::copy(text.begin(), text.end(), bytes.begin() + sizeof length);
    const std::string message = raised<ModelError>([&] { static_cast<void>(load_sam_model(bytes, {}, kF32Fused)); });
    EXPECT_NE(message.find(words), std::string::npos) << message << "\nexpected " << words;
  };
  for (const auto& [name, tensor] : good_->tensors) {
    nlohmann::json changed = head;
    changed.erase(name);
    refused(changed, "has no tensor \"" + name + "\"");
    changed = head;
    changed[name]["shape"].push_back(1);  // as many elements
    refused(changed, "\"" + name + "\"");
  }
}

TEST_F(SamFile, NumbersOfTheHeaderAreInTheirRange) {
  for (const char* name : {"grid", "frame", "heads", "masks", "mask_channels"}) {
    const std::string quoted = std::string("\"") + name + "\"";
    expect_refused([&](FoldedDecoderFile& file) { file.about.erase(name); }, quoted);
    for (const nlohmann::json& value :
         {nlohmann::json{0}, nlohmann::json{-4}, nlohmann::json{65537}, nlohmann::json{1ULL << 62},
          nlohmann::json{18446744073709551615ULL}, nlohmann::json{4.5}, nlohmann::json{"4"}, nlohmann::json{4, 4},
          nlohmann::json(4), nlohmann::json("4"), nlohmann::json(nullptr)}) {
      expect_refused(header(name, value), quoted);
    }
    if (std::string(name) != "mask_channels") expect_refused(header(name, nlohmann::json::array()), quoted);
  }
  expect_refused(header("mask_channels", {4}), "\"mask_channels\"");
  expect_refused(header("mask_channels", {65536}), "\"mask_channels\"");
  expect_refused(header("heads", {4}), "other heads or masks than SAM's 8 and 4");
  expect_refused(header("masks", {3}), "other heads or masks than SAM's 8 and 4");
  for (const nlohmann::json& shift : {nlohmann::json("1"), nlohmann::json(""), nlohmann::json("0.50")}) {
    expect_refused(header("point_shift", shift), "\"point_shift\" of its header is neither");
  }
  for (const nlohmann::json& shift : {nlohmann::json(0.5), nlohmann::json(nullptr)}) {
    expect_refused(header("point_shift", shift), "its header has no text \"point_shift\"");
  }
}

TEST_F(SamFile, AnEpsilonOfTheNormsIsOneThatAFamilyHas) {
  EXPECT_EQ(refusal(header("layer_norm_epsilon", "1e-6")), "none");
  for (const char* epsilon : {"1e-5", "1e-06", "0", "", "1e-6 "}) {
    expect_refused(header("layer_norm_epsilon", epsilon), R"("layer_norm_epsilon" of its header is not "1e-6")");
  }
  for (const nlohmann::json& epsilon : {nlohmann::json(1e-6), nlohmann::json(nullptr), nlohmann::json{"1e-6"}}) {
    expect_refused(header("layer_norm_epsilon", epsilon), "its header has no text \"layer_norm_epsilon\"");
  }
}

// Pieces of the image are read in pairs of tokens: of an odd number the last pair would end behind the image.
TEST_F(SamFile, AGridIsEvenAndNoLargerThanAnyImage) {
  for (const std::int64_t grid : {3, 5, 17, 127}) {
    expect_refused(header("grid", {grid}), "\"grid\" of its header is " + std::to_string(grid) + ", expected an even",
                   {.grid = grid});
  }
  for (const std::int64_t grid : {1, 129, 130, 65536}) {
    expect_refused(header("grid", {grid}), "\"grid\" of its header is not one integer from 2 to 128", {.grid = grid});
  }
}

TEST_F(SamFile, FitsTheManifest) {
  expect_refused([](FoldedDecoderFile&) {}, "takes an embedding (1, 256, 4, 4)", {.grid = 8});
  expect_refused(header("mask_channels", nlohmann::json::array()), "has no layers for a mask_input");
  const auto without_masks = [](FoldedDecoderFile& file) {
    file.about["mask_channels"] = nlohmann::json::array();
    for (auto tensor = file.tensors.begin(); tensor != file.tensors.end();) {
      tensor = tensor->first.rfind("mask.", 0) == 0 ? file.tensors.erase(tensor) : std::next(tensor);
    }
  };
  EXPECT_EQ(refusal(without_masks, {.masks = false}), "none");
  expect_refused(header("mask_channels", nlohmann::json::array()), "\"mask.0.bias\" that its network does not use",
                 {.masks = false});
  EXPECT_EQ(refusal([](FoldedDecoderFile&) {}, {.masks = false}), "none") << "one file serves both roles";
  const auto refused = [&](const std::function<void(ModelFile&)>& change, const std::string& words) {
    const std::string bytes = good_->bytes();
    const backends::native::Weights weights("weights", bytes);
    ModelFile file = sam_model_file({});
    change(file);
    const std::string message = raised<ModelError>([&] {
      static_cast<void>(backends::native::load_sam_decoder_model(weights, file, {kF32Fused, 1, {}}));
    });
    EXPECT_NE(message.find(words), std::string::npos) << message;
  };
  refused([](ModelFile& file) { file.outputs.pop_back(); }, "makes logits (-1, -1, 16, 16)");
  refused([](ModelFile& file) { file.outputs.at(0).shape = {-1, -1, 32, 32}; }, "makes logits (-1, -1, 16, 16)");
  refused([](ModelFile& file) { file.inputs.at(2).name = "boxes\n"; }, R"(does not take the input "boxes\n")");
  refused([](ModelFile& file) { file.prompt_frame = 65; }, "is for a frame of 64 pixels");
  refused([](ModelFile& file) { file.point_shift = 0; }, "prompts shifted by 0.5");
  for (const std::size_t i : {0U, 1U, 2U, 3U}) {
    refused([&](ModelFile& file) { file.inputs.erase(file.inputs.begin() + static_cast<std::ptrdiff_t>(i)); },
            "needs the input");
  }
}

// Weights that are no numbers are refused, each of them; those that are too large make logits that are none, which the
// engine refuses: never a place in memory.
TEST_F(SamFile, WeightsThatAreNoNumbers) {
  const SamSizes sizes{};
  std::size_t n = 0;
  for (const auto& [name, tensor] : good_->tensors) {
    if (n++ % 16 != 0) continue;  // a load takes a second under ThreadSanitizer
    FoldedDecoderFile file = *good_;
    file.tensors.at(name).values[tensor.values.size() / 2] = n % 32 == 1 ? std::nanf("") : INFINITY;
    EXPECT_THROW(load_sam_model(file.bytes(), sizes, kF32Fused), ModelError) << name;
  }
  FoldedDecoderFile file = *good_;
  for (auto& [name, tensor] : file.tensors) tensor.values[tensor.values.size() / 2] = -3e38F;
  for (const char* precision : {kF32Fused, kBf16Fused}) {
    const SamModel model = load_sam_model(file.bytes(), sizes, precision);
    const SamOutput output =
        decode(*model->create_request(), sizes, embedding_tensor(sizes, random_sam_embedding(sizes)),
               random_sam_prompts(sizes, 2, 3, {0, 3}));
    EXPECT_FALSE(std::isfinite(output.logits[0]));
  }
}

}  // namespace
}  // namespace medsam::testing
