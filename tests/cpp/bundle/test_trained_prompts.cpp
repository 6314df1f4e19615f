// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What the weights were not trained with is refused, wherever a prompt goes in.
#include "bundle/manifest_parser.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "bundle/bundle.hpp"
#include "support/c_api_test.hpp"
#include "support/fake_backend.hpp"
#include "support/tiny_bundle.hpp"

namespace medsam {
namespace {

using nlohmann::json;

constexpr PromptKinds kBoxKind = PromptKinds::box, kPoints = PromptKinds::points, kMask = PromptKinds::mask,
                      kScribble = PromptKinds::scribble;

constexpr const char* kBoxOnly = R"([["box"]])";

// `list` is JSON text: braces would make an object of a list of pairs.
TrainedPrompts parsed(const std::string& list, const PromptEncoding& encoding = {}) {
  const json manifest = json::parse("{\"trained_prompts\": " + list + "}");
  ObjectReader reader(manifest, "manifest.json");
  return parse_trained_prompts(reader, encoding);
}

PromptEncoding taking(MaskInput mask_input, FromBox from_box = FromBox::corners) {
  PromptEncoding encoding;
  encoding.mask_input = mask_input;
  encoding.from_box = from_box;
  return encoding;
}

TEST(TrainedPrompts, AreReadInTheirOrder) {
  const TrainedPrompts sam = parsed(R"([["box"], ["points"], ["mask", "box"]])", taking(MaskInput::logits));
  EXPECT_TRUE(sam.stated);
  EXPECT_EQ(sam.combinations, (std::vector<PromptKinds>{kBoxKind, kPoints, kBoxKind | kMask}));
  EXPECT_FALSE(TrainedPrompts{}.stated);
  EXPECT_EQ(TrainedPrompts{}.combinations, std::vector<PromptKinds>{kBoxKind}) << "without the field";
}

TEST(TrainedPrompts, ABoxGetsItsPointsAndScribbleWhereTheyAreDrawnInIt) {
  const std::string all = R"([["box", "points", "scribble"]])";
  const PromptKinds together = kBoxKind | kPoints | kScribble;
  EXPECT_EQ(parsed(all, taking(MaskInput::scribble, FromBox::points_and_scribble)).combinations,
            (std::vector<PromptKinds>{kBoxKind, together}));
  EXPECT_EQ(parsed(all, taking(MaskInput::scribble)).combinations, std::vector<PromptKinds>{together});
}

TEST(TrainedPrompts, WhatTheGraphsDoNotTakeIsNotOffered) {
  PromptEncoding boxes;
  boxes.points = false;
  EXPECT_EQ(parsed(R"([["points"], ["box"], ["box", "mask"]])", boxes).combinations,
            std::vector<PromptKinds>{kBoxKind});
  EXPECT_THROW(parsed(R"([["points"]])", boxes), ModelError) << "nothing is left";
}

TEST(TrainedPrompts, AMalformedListIsRefusedByName) {
  const std::vector<std::string> lists = {
      R"("box")",
      "{}",
      R"({"box": ["box"]})",
      "[]",
      R"(["box"])",
      R"([["box"], []])",
      R"([["clicks"]])",
      R"([["box", 1]])",
      R"([["Box"]])",
      R"([["box\n"]])",
      R"([["box", "box"]])",
      R"([["box"], ["box"]])",
      R"([["box", "points"], ["points", "box"]])",
      R"([["box"], 3])",
      R"([["box", true]])",
      R"([[null]])",
      R"([[["box"]]])",
      "null",
      "1e30",
      "true",
  };
  for (const std::string& list : lists) {
    try {
      static_cast<void>(parsed(list));
      FAIL() << "accepted " << list;
    } catch (const ModelError& error) {
      EXPECT_NE(std::string(error.what()).find("trained_prompts"), std::string::npos) << error.what();
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << "one line";
    }
  }
}

class TrainedPromptsTest : public CApiTest {
 protected:
  // The tiny bundle, its weights trained with `list`; "": it does not say.
  std::string bundle_of(const std::string& list, const std::string& mask_input = "logits") {
    json manifest = testing::tiny_manifest();
    manifest.erase("trained_prompts");
    if (!list.empty()) manifest["trained_prompts"] = json::parse(list);
    manifest["prompt"]["mask_input"] = mask_input;
    return testing::write_tiny_bundle(folder_.path("b" + std::to_string(++bundles_)), manifest);
  }

  // A prompt of these kinds; a mask where the model takes logits, and strokes where it takes those.
  Prompt prompt_of(PromptKinds kinds) const {
    Prompt prompt;
    if (has(kinds, kBoxKind)) prompt.box = Box{16, 8, 47, 39};
    if (has(kinds, kPoints)) prompt.points = {{30, 20, 1}, {0, 0, -1}, {5, 5, 0}};
    if (has(kinds, kMask)) prompt.mask_input = mask_.data();
    if (has(kinds, kScribble)) prompt.scribble = ScribbleView{strokes_.data(), 48, 64, 64};
    return prompt;
  }

  static bool trained(const Engine& engine, PromptKinds kinds) {
    const std::vector<PromptKinds>& list = engine.info().trained_prompts;
    return std::find(list.begin(), list.end(), kinds) != list.end();
  }

  // The message of the Unsupported that the call raises; "" where it answers.
  template <class Call>
  static std::string refusal(Call&& call) {
    try {
      call();
    } catch (const Unsupported& error) {
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << "one line";
      return error.what();
    }
    return "";
  }

  int bundles_ = 0;
  const std::vector<float> mask_ = std::vector<float>(testing::kMaskSide * testing::kMaskSide, 1.0f);
  const std::vector<std::uint8_t> strokes_ = std::vector<std::uint8_t>(48 * 64, 1);
};

TEST_F(TrainedPromptsTest, PointsOnBoxOnlyWeightsAreRefusedBeforeTheDecoderRuns) {
  const Engine engine(bundle_of(kBoxOnly), options_);
  EXPECT_TRUE(engine.info().accepts_points) << "the graph does take them";
  EXPECT_TRUE(engine.info().trained_prompts_stated);
  const ImageEmbedding embedding = engine.encode(image());
  const int runs = testing::fake_backend().runs;
  const std::string why = refusal([&] {
    static_cast<void>(engine.predict(embedding, {prompt_of(kBoxKind), prompt_of(kPoints)}));
  });
  EXPECT_EQ(
      why,
      "prompt 1: got points, which the weights of tiny were not trained with (trained: box); give a box alone, or "
      "set allow_untrained (--allow-untrained) for research");
  EXPECT_EQ(testing::fake_backend().runs, runs);
  EXPECT_NE(refusal([&] { engine.check_prompt(kBoxKind | kMask); }).find("prompt: got box + mask"), std::string::npos);
}

TEST_F(TrainedPromptsTest, AllowUntrainedAnswersAsWeightsThatKnowThem) {
  const Engine engine(bundle_of(kBoxOnly), options_), knows(bundle_, options_);
  PredictOptions options;
  options.allow_untrained = true;
  for (const PromptKinds kinds : {kPoints, kBoxKind | kPoints, kBoxKind | kMask, kMask}) {
    const Prediction got = engine.predict(engine.encode(image()), {prompt_of(kinds)}, options);
    const Prediction wanted = knows.predict(knows.encode(image()), {prompt_of(kinds)});
    EXPECT_TRUE(std::equal(wanted.low_res_logits(), wanted.low_res_logits() + mask_.size(), got.low_res_logits()));
  }
}

TEST_F(TrainedPromptsTest, ABundleThatDoesNotSayTakesBoxesAloneAndIsToBeExportedAgain) {
  const Engine engine(bundle_of(""), options_);
  EXPECT_FALSE(engine.info().trained_prompts_stated);
  EXPECT_EQ(engine.info().trained_prompts, std::vector<PromptKinds>{kBoxKind});
  const ImageEmbedding embedding = engine.encode(image());
  EXPECT_EQ(engine.predict(embedding, {prompt_of(kBoxKind)}).size(), 1);
  const std::string why =
      refusal([&] { static_cast<void>(engine.predict(embedding, {prompt_of(kBoxKind | kPoints)})); });
  EXPECT_NE(why.find("got box + points"), std::string::npos) << why;
  EXPECT_NE(why.find("export the bundle again"), std::string::npos) << why;
}

TEST_F(TrainedPromptsTest, PaddingPointsAreNoPoints) {
  const Engine engine(bundle_of(kBoxOnly), options_);
  Prompt padded = prompt_of(kBoxKind);
  padded.points = {{0, 0, -1}, {9, 9, -1}};
  const ImageEmbedding embedding = engine.encode(image());
  const Prediction got = engine.predict(embedding, {padded}), wanted = engine.predict(embedding, {prompt_of(kBoxKind)});
  EXPECT_TRUE(std::equal(wanted.low_res_logits(), wanted.low_res_logits() + mask_.size(), got.low_res_logits()));
}

// Every combination of box, points, mask and scribble, for every list: answered if it is in the list, else refused;
// with allow_untrained answered if the graphs take it. check_prompt says the same.
TEST_F(TrainedPromptsTest, EveryCombinationIsInTheListOrRefused) {
  const std::vector<std::pair<std::string, std::string>> bundles = {
      {R"([["box"], ["points"], ["box", "points"], ["box", "mask"], ["points", "mask"], ["box", "points", "mask"]])",
       "logits"},
      {kBoxOnly, "logits"},
      {R"([["points"]])", "logits"},
      {"", "logits"},
      {R"([["box", "points", "scribble"]])", "scribble"},
      {R"([["box"], ["scribble"]])", "scribble"},
      {"", "scribble"},
  };
  for (const auto& [list, mask_input] : bundles) {
    const Engine engine(bundle_of(list, mask_input), options_);
    const ImageEmbedding embedding = engine.encode(image());
    for (unsigned bits = 1; bits < 16; ++bits) {
      const auto kinds = static_cast<PromptKinds>(bits);
      const bool taken = mask_input == "logits" ? !has(kinds, kScribble) : !has(kinds, kMask);
      if (!taken && mask_input == "scribble") continue;  // its mask_input is a scribble: two of them are no prompt
      for (const bool allow : {false, true}) {
        PredictOptions options;
        options.allow_untrained = allow;
        const bool expected = taken && (allow || trained(engine, kinds));
        const auto ask = [&] { static_cast<void>(engine.predict(embedding, {prompt_of(kinds)}, options)); };
        EXPECT_EQ(refusal(ask).empty(), expected) << list << ", kinds " << bits << ", allow " << allow;
        EXPECT_EQ(refusal([&] { engine.check_prompt(kinds, options); }).empty(), expected) << list << ", " << bits;
      }
    }
    EXPECT_THROW(engine.check_prompt(PromptKinds::none), InvalidArgument);
    EXPECT_THROW(engine.check_prompt(static_cast<PromptKinds>(17)), InvalidArgument);
  }
}

TEST_F(TrainedPromptsTest, BoxesAreRefusedWhereTheWeightsDoNotKnowThem) {
  const Engine engine(bundle_of(R"([["points"]])"), options_);
  std::vector<std::uint16_t> labels;
  const LabelView out = view(labels);
  const ImageEmbedding embedding = engine.encode(image());
  const int runs = testing::fake_backend().runs;
  const std::vector<Box> boxes = {{16, 8, 47, 39}};
  const std::string why = refusal([&] { engine.segment(image(), boxes, out); });
  EXPECT_NE(why.find("boxes: got box"), std::string::npos) << why;
  EXPECT_NE(why.find("(trained: points)"), std::string::npos) << why;
  EXPECT_NE(refusal([&] { engine.segment(embedding, boxes, out); }), "");
  const ImageView slice = image();
  const VolumeView volume{slice.data, slice.type, 1, 48, 64, slice.channels, slice.row_stride, 0};
  const LabelVolumeView volume_out{out.data, out.type, 1, 48, 64, out.row_stride, 0};
  EXPECT_NE(refusal([&] { engine.segment_volume(volume, {{16, 8, 0, 47, 39, 0}}, volume_out); }), "");
  EXPECT_EQ(testing::fake_backend().runs, runs);
  EXPECT_TRUE(engine.segment(image(), {}, out).empty()) << "no box, no question";
}

TEST_F(TrainedPromptsTest, TheCApiRefusesPointsAndAllowsThem) {
  const CEngine made = engine(bundle_of(kBoxOnly));
  auto info = initialized(medsam_engine_info_init);
  EXPECT_OK(medsam_engine_get_info(made.get(), &info));
  ASSERT_EQ(info.trained_prompt_count, 1u);
  EXPECT_EQ(info.trained_prompts[0], MEDSAM_PROMPT_BOX);
  EXPECT_EQ(info.trained_prompts_stated, 1);
  const CEmbedding embedding = encode(made);
  medsam_prompt prompt = initialized(medsam_prompt_init);
  const medsam_point point{30, 20, 1, 0};
  prompt.points = &point;
  prompt.point_count = 1;
  medsam_prediction* out = nullptr;
  EXPECT_FAILS(medsam_predict(made.get(), embedding.get(), &prompt, 1, nullptr, &out), MEDSAM_UNSUPPORTED,
               "got points, which the weights of tiny were not trained with");
  EXPECT_EQ(out, nullptr);
  auto options = initialized(medsam_predict_options_init);
  EXPECT_EQ(options.allow_untrained, 0);
  options.allow_untrained = 2;
  EXPECT_FAILS(medsam_predict(made.get(), embedding.get(), &prompt, 1, &options, &out), MEDSAM_INVALID_ARGUMENT,
               "allow_untrained: got 2");
  options.allow_untrained = 1;
  EXPECT_OK(medsam_predict(made.get(), embedding.get(), &prompt, 1, &options, &out));
  const CPrediction prediction(out);
  std::vector<float> got(mask_.size());
  EXPECT_OK(medsam_prediction_read_logits(prediction.get(), got.data(), got.size()));
  const Engine knows(bundle_, options_);
  Prompt same;
  same.points = {{30, 20, 1}};
  const Prediction wanted = knows.predict(knows.encode(image()), {same});
  EXPECT_TRUE(std::equal(got.begin(), got.end(), wanted.low_res_logits()));
}

// A program built against the header of before has a shorter struct: it gets the default, which refuses.
TEST_F(TrainedPromptsTest, TheCApiUnderstandsOptionsOfBefore) {
  const CEngine made = engine(bundle_of(kBoxOnly));
  const CEmbedding embedding = encode(made);
  medsam_prompt prompt = initialized(medsam_prompt_init);
  const medsam_point point{30, 20, 1, 0};
  prompt.points = &point;
  prompt.point_count = 1;
  medsam_predict_options options{};
  EXPECT_OK(medsam_predict_options_init(&options, offsetof(medsam_predict_options, allow_untrained)));
  options.allow_untrained = 1;  // not theirs
  medsam_prediction* out = nullptr;
  EXPECT_FAILS(medsam_predict(made.get(), embedding.get(), &prompt, 1, &options, &out), MEDSAM_UNSUPPORTED, "points");
}

}  // namespace
}  // namespace medsam
