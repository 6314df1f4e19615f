// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The model's own estimate of the IoU in the statistics of masks and objects. The tiny model's depends on the slice and
// on the mask's token.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "support/c_api_test.hpp"
#include "support/engine_test.hpp"

namespace medsam {
namespace {

constexpr std::int64_t kDepth = 8, kHeight = 48, kWidth = 64, kSlice = kHeight * kWidth;

class IouEstimate : public CApiTest {
 protected:
  void SetUp() override {
    CApiTest::SetUp();
    voxels_.resize(static_cast<std::size_t>(kDepth * kSlice));
    // The tiny model's estimate is the brightness of the first corner between the image's darkest and brightest pixel.
    for (std::int64_t z = 0; z < kDepth; ++z) {
      for (std::int64_t y = 0; y < kHeight; ++y) {
        auto* row = voxels_.data() + z * kSlice + y * kWidth;
        if (y < 24) std::fill(row, row + 24, static_cast<std::uint8_t>(25 * z + 10));
        if (y >= 32) std::fill(row + 48, row + 64, std::uint8_t{255});
      }
    }
  }
  VolumeView volume() const { return {voxels_.data(), PixelType::u8, kDepth, kHeight, kWidth, 1, kWidth, kSlice}; }
  ImageView slice(std::int64_t z) const {
    return {voxels_.data() + z * kSlice, PixelType::u8, kHeight, kWidth, 1, kWidth};
  }
  LabelVolumeView labels() {
    labels_.assign(voxels_.size(), 0);
    return {labels_.data(), LabelType::u8, kDepth, kHeight, kWidth, kWidth, kSlice};
  }
  float estimate(const Engine& engine, std::int64_t z) const {
    Prompt prompt;
    prompt.box = Box{16, 8, 47, 39};
    return engine.predict(engine.encode(slice(z)), {prompt}).iou_predictions()[0];
  }

  std::vector<std::uint8_t> voxels_, labels_;
};

TEST_F(IouEstimate, OfASegmentedBoxIsThatOfItsPrediction) {
  const Engine engine(bundle_, options_);
  std::vector<std::uint16_t> map;
  const auto stats = engine.segment(slice(3), {{16, 8, 47, 39}, {0, 0, 63, 47}}, view(map));
  ASSERT_EQ(stats.size(), 2u);
  EXPECT_EQ(stats[0].iou, estimate(engine, 3));
  EXPECT_NE(stats[0].iou, estimate(engine, 4));
}

TEST_F(IouEstimate, OfAWrittenMaskIsThatOfThePromptAndTheAlternative) {
  const Engine engine(bundle_, options_);
  std::vector<Prompt> prompts(2);
  prompts[0].box = Box{16, 8, 47, 39};
  prompts[1].box = Box{0, 0, 30, 30};
  PredictOptions options;
  options.multimask_output = true;
  const Prediction prediction = engine.predict(engine.encode(slice(2)), prompts, options);
  std::vector<std::uint16_t> map;
  const LabelView out = view(map);
  for (std::int64_t n = 0; n < 2; ++n) {
    for (std::int64_t m = 0; m < 3; ++m) {
      EXPECT_EQ(prediction.write_mask(n, m, out).iou, prediction.iou_predictions()[n * 3 + m]) << n << " " << m;
    }
  }
}

TEST_F(IouEstimate, OfAnObjectIsTheMeanOverItsVoxels) {
  const Engine engine(bundle_, options_);
  const auto stats = engine.segment_volume(volume(), {{16, 8, 2, 47, 39, 5}}, labels());
  double sum = 0, voxels = 0;
  for (std::int64_t z = 2; z <= 5; ++z) {
    const auto* from = labels_.data() + z * kSlice;
    const auto area = static_cast<double>(std::count(from, from + kSlice, 1));
    ASSERT_GT(area, 0) << z;
    sum += area * static_cast<double>(estimate(engine, z));
    voxels += area;
  }
  ASSERT_EQ(stats.size(), 1u);
  EXPECT_NEAR(stats[0].iou, sum / voxels, 1e-5);
  EXPECT_GT(std::abs(stats[0].iou - estimate(engine, 2)), 1e-3);
}

TEST_F(IouEstimate, OfAnObjectWithoutVoxelsIsNotANumber) {
  auto manifest = testing::tiny_manifest();
  manifest["profile"]["volume"]["z_range"] = "half_open";  // the last slice is none of the object's
  const Engine engine(testing::write_tiny_bundle(folder_.path("open"), manifest), options_);
  const auto stats = engine.segment_volume(volume(), {{16, 8, 3, 47, 39, 3}, {16, 8, 2, 47, 39, 5}}, labels());
  ASSERT_EQ(stats[0].voxels, 0);
  EXPECT_TRUE(std::isnan(stats[0].iou));
  EXPECT_FALSE(std::isnan(stats[1].iou));
}

TEST_F(IouEstimate, ReachesACHostThatAsksForIt) {
  const Engine cpp(bundle_, options_);
  const auto wanted = cpp.segment_volume(volume(), {{16, 8, 2, 47, 39, 5}, {0, 0, 5, 20, 20, 7}}, labels());
  std::vector<std::uint16_t> map;
  const auto wanted_flat = cpp.segment(slice(3), {{16, 8, 47, 39}}, view(map));

  const CEngine made = engine();
  const medsam_volume in{voxels_.data(), MEDSAM_PIXEL_U8, 1, kDepth, kHeight, kWidth, kWidth, kSlice};
  const medsam_label_volume out{labels_.data(), MEDSAM_LABEL_U8, 0, kDepth, kHeight, kWidth, kWidth, kSlice};
  const medsam_box_3d boxes[] = {{16, 8, 2, 47, 39, 5}, {0, 0, 5, 20, 20, 7}};
  float iou[3] = {-1, -1, -1};
  auto options = initialized(medsam_volume_options_init);
  EXPECT_EQ(options.iou, nullptr);
  options.iou = iou;
  ASSERT_EQ(medsam_segment_volume(made.get(), &in, boxes, 2, &out, &options, nullptr), MEDSAM_OK);
  EXPECT_EQ(iou[0], wanted[0].iou);
  EXPECT_EQ(iou[1], wanted[1].iou);
  EXPECT_EQ(iou[2], -1) << "nothing is written behind the last object's";

  const medsam_image flat{voxels_.data() + 3 * kSlice, MEDSAM_PIXEL_U8, 1, kHeight, kWidth, kWidth};
  const medsam_labels flat_out{labels_.data(), MEDSAM_LABEL_U8, 0, kHeight, kWidth, kWidth};
  const medsam_box box{16, 8, 47, 39};
  auto flat_options = initialized(medsam_segment_options_init);
  flat_options.iou = iou;
  ASSERT_EQ(medsam_segment(made.get(), &flat, &box, 1, &flat_out, &flat_options, nullptr), MEDSAM_OK);
  EXPECT_EQ(iou[0], wanted_flat[0].iou);
  flat_options.size = offsetof(medsam_segment_options, iou);  // an older header's struct
  iou[0] = -1;
  ASSERT_EQ(medsam_segment(made.get(), &flat, &box, 1, &flat_out, &flat_options, nullptr), MEDSAM_OK);
  EXPECT_EQ(iou[0], -1) << "what an older caller does not have is not read";
}

}  // namespace
}  // namespace medsam
