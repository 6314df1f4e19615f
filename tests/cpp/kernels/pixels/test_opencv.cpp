// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The oracle's resampling against the installed OpenCV (an OpenCV without IPP, as distributions build it): equal to the
// bit for integers and for f32, all interpolations. cv2 wheels with IPP differ for cubic: kernels/README.md.
#include <gtest/gtest.h>

#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

#include "kernels/support/test_image.hpp"

namespace medsam::kernels {
namespace {

struct Shape {
  std::int64_t height, width, new_height, new_width;
};

constexpr Interpolation kOpenCvInterpolations[] = {Interpolation::area, Interpolation::linear, Interpolation::cubic};

cv::Mat resized_by_opencv(const Pixels& p, std::int64_t height, std::int64_t width, Interpolation interpolation) {
  constexpr int kDepths[] = {CV_8U, CV_16U, CV_16S, CV_32F};
  constexpr int kFlags[] = {cv::INTER_AREA, cv::INTER_LINEAR, cv::INTER_CUBIC};
  const cv::Mat source(static_cast<int>(p.height), static_cast<int>(p.width),
                       CV_MAKETYPE(kDepths[static_cast<int>(p.type)], p.channels), const_cast<void*>(p.data),
                       static_cast<std::size_t>(p.row_stride));
  cv::Mat out, floats;
  cv::resize(source, out, cv::Size(static_cast<int>(width), static_cast<int>(height)), 0, 0,
             kFlags[static_cast<int>(interpolation)]);
  out.convertTo(floats, CV_32F);
  return floats;
}

std::size_t differences(const Pixels& p, std::int64_t height, std::int64_t width, Interpolation interpolation) {
  const cv::Mat expected = resized_by_opencv(p, height, width, interpolation);
  const ResizeNormalizeParams params = raw_params(height, width, interpolation);
  const std::vector<float> got = run_resize(reference_table(), p, params);
  std::size_t count = 0;
  for (std::int64_t y = 0; y < height; ++y) {
    const auto* row = expected.ptr<float>(static_cast<int>(y));
    for (std::int64_t i = 0; i < width * p.channels; ++i) {
      const std::int64_t c = i % p.channels, x = i / p.channels;
      count += got[static_cast<std::size_t>((c * params.out_size + y) * params.out_size + x)] == row[i] ? 0 : 1;
    }
  }
  return count;
}

class OracleAgainstOpenCV : public testing::TestWithParam<PixelType> {};
INSTANTIATE_TEST_SUITE_P(AllTypes, OracleAgainstOpenCV, testing::ValuesIn(kPixelTypes),
                         [](const auto& type) { return name_of(type.param); });

TEST_P(OracleAgainstOpenCV, IsEqualToTheBit) {
  constexpr Shape kShapes[] = {
      {100, 150, 64, 96}, {64, 96, 32, 48},   {96, 96, 32, 32}, {60, 90, 30, 30},      {90, 60, 30, 60},
      {101, 67, 50, 33},  {37, 53, 64, 91},   {50, 20, 30, 40}, {170, 260, 84, 128},   {256, 256, 255, 256},
      {1, 40, 1, 17},     {33, 1, 16, 1},     {7, 7, 256, 256}, {500, 333, 256, 170},  {128, 128, 16, 16},
      {45, 45, 9, 15},    {400, 340, 20, 17}, {9, 13, 9, 13},   {700, 1100, 163, 256},
  };
  std::uint32_t seed = 1;
  for (const Shape& s : kShapes) {
    for (const int channels : {1, 3}) {
      for (const Interpolation interpolation : kOpenCvInterpolations) {
        const TestImage image(GetParam(), s.height, s.width, channels,
                              seed % 2 == 0 ? RowLayout::dense : RowLayout::padded, seed);
        ++seed;
        EXPECT_EQ(differences(image.pixels(), s.new_height, s.new_width, interpolation), 0U)
            << name_of(interpolation) << " " << channels << " channels " << s.height << "x" << s.width << " to "
            << s.new_height << "x" << s.new_width;
      }
    }
  }
}

TEST_P(OracleAgainstOpenCV, IsEqualAtAllTails) {
  std::uint32_t seed = 1;
  for (const std::int64_t in : kTails) {
    for (const std::int64_t out : kTails) {
      const TestImage image(GetParam(), 13, in, seed % 2 == 0 ? 1 : 3, RowLayout::dense, seed);
      for (const Interpolation interpolation : kOpenCvInterpolations) {
        EXPECT_EQ(differences(image.pixels(), 6, out, interpolation), 0U)
            << name_of(interpolation) << " " << image.pixels().channels << " channels, width " << in << " to " << out;
      }
      ++seed;
    }
  }
}

}  // namespace
}  // namespace medsam::kernels
