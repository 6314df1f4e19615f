// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Windows against values computed by hand. tests/python/test_windows.py compares them with NumPy bit for bit.
#include "medsam/window.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "medsam/error.hpp"
#include "support/raised.hpp"

namespace medsam {
namespace {

using testing::raised;
using Rule = IntensityWindow::Rule;
using Bytes = std::vector<std::uint8_t>;

ImageView row(const std::vector<std::int16_t>& values) {
  const auto width = static_cast<std::int64_t>(values.size());
  return {values.data(), PixelType::i16, 1, width, 1, 2 * width};
}

ImageView float_row(const std::vector<float>& values) {
  const auto width = static_cast<std::int64_t>(values.size());
  return {values.data(), PixelType::f32, 1, width, 1, 4 * width};
}

WindowOptions named(const std::string& window) {
  WindowOptions options;
  options.window = window;
  return options;
}

Bytes shown(const ImageView& image, const WindowOptions& options) {
  Bytes out(static_cast<std::size_t>(image.width * image.height), 99);
  const auto padding = options.padding.empty() ? std::nullopt : options.padding[0];
  apply_window(resolve_window(image, options), image, padding, out.data(), image.width);
  return out;
}

TEST(Window, OfCtByHand) {
  const std::vector<std::int16_t> values{-1000, -160, 40, 39, 240, 3000};
  const Bytes expected{0, 0, 128, 127, 255, 255};  // 127.5 and 126.8625, halves to even
  for (const char* const word : {"abdomen", " Abdomen ", "400,40", "4e2, +40"}) {
    EXPECT_EQ(shown(row(values), named(word)), expected) << word;
  }
  WindowOptions options;
  options.modality = "ct";
  EXPECT_EQ(shown(row(values), options), expected);
}

TEST(Window, StretchesWhatIsLeftOfAVolume) {
  EXPECT_EQ(shown(row({0, 50, 100}), named("lung")), (Bytes{0, 128, 255}));
  EXPECT_EQ(shown(row({-32768, 0, 32767}), named("full")), (Bytes{0, 128, 255}));
  const std::vector<std::int16_t> values{0, 50, 200, 100};
  const VolumeView volume{values.data(), PixelType::i16, 2, 1, 2, 1, 4, 4};
  const IntensityWindow window = resolve_window(volume, named("full"));
  EXPECT_EQ(window.darkest, 0);
  EXPECT_EQ(window.brightest, 200);
  Bytes out(2);
  apply_window(window, volume, 1, std::nullopt, out.data(), 2);
  EXPECT_EQ(out, (Bytes{255, 128}));
}

TEST(Window, OfPercentilesKeepsZerosBlack) {
  std::vector<float> values{0, -7};
  for (int k = 1; k <= 201; ++k) values.push_back(static_cast<float>(k));
  const IntensityWindow window = resolve_window(float_row(values), named("percentile"));
  EXPECT_EQ(window.low, 2);
  EXPECT_EQ(window.high, 200);
  EXPECT_EQ(window.darkest, 2);
  EXPECT_TRUE(window.zeros_stay);
  const Bytes out = shown(float_row(values), named("percentile"));
  EXPECT_EQ(out[0], 0);
  EXPECT_EQ(out[2 + 100], std::lrint(99 / 198.0 * 255));
  EXPECT_EQ(out.back(), 255);
}

TEST(Window, LeavesPreparedValuesAsTheyAre) {
  const std::uint8_t bytes[3] = {10, 255, 20};
  const ImageView gray{bytes, PixelType::u8, 1, 3, 1, 3}, color{bytes, PixelType::u8, 1, 1, 3, 3};
  WindowOptions options;
  EXPECT_EQ(resolve_window(gray, options).rule, Rule::unchanged);
  EXPECT_EQ(resolve_window(color, options).rule, Rule::unchanged);
  EXPECT_EQ(resolve_window(color, named("none")).rule, Rule::unchanged);
  EXPECT_EQ(resolve_window(color, named(" None ")).rule, Rule::unchanged);
  EXPECT_NE(raised<InvalidArgument>([&] { (void)resolve_window(color, named("lung")); }).find("color"),
            std::string::npos);
  options.padding = {ValueInterval{255, 255}};
  EXPECT_EQ(resolve_window(gray, options).rule, Rule::padding);
  EXPECT_EQ(shown(gray, options), (Bytes{10, 0, 20}));
  Bytes out(3);
  EXPECT_THROW(apply_window({}, gray, std::nullopt, out.data(), 3), InvalidArgument);
  IntensityWindow padding_only;
  padding_only.rule = Rule::padding;
  EXPECT_THROW(apply_window(padding_only, row({1, 2, 3}), std::nullopt, out.data(), 3), InvalidArgument);
}

TEST(Window, PaddingHasNoPartInIt) {
  WindowOptions options = named("full");
  options.padding = {ValueInterval{-2000, -1900}};
  EXPECT_EQ(shown(row({-2000, 0, -1950, 200}), options), (Bytes{0, 0, 0, 255}));
  EXPECT_EQ(shown(row({-2000, -1950}), options), (Bytes{0, 0}));  // nothing else
  options.padding = {ValueInterval{0.1, 0.1}};                    // of float values: 0.1 as a float
  EXPECT_EQ(shown(float_row({0.1F, 1, 2}), options), (Bytes{0, 0, 255}));
  options.padding.emplace_back();
  EXPECT_EQ(raised<InvalidArgument>([&] {
              (void)resolve_window(row({1, 2}), options);
            }),
            "padding: got 2 intervals for 1 slices, expected one for each slice, or none at all");
}

TEST(Window, RefusesValuesThatAreNoNumbers) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> with_nan{1, nan, 3}, with_infinity{1, infinity, 3};
  for (const char* const word : {"abdomen", "percentile", "full"}) {
    EXPECT_NE(raised<InvalidArgument>([&] { (void)resolve_window(float_row(with_nan), named(word)); }).find("NaN"),
              std::string::npos);
  }
  EXPECT_THROW((void)resolve_window(float_row(with_infinity), named("full")), InvalidArgument);
  EXPECT_THROW((void)resolve_window(float_row(with_infinity), named("percentile")), InvalidArgument);
  EXPECT_EQ(shown(float_row(with_infinity), named("4,3")), (Bytes{0, 255, 128}));  // clipped: 1, 5, 3
  Bytes out(3, 99);  // applied to values that it was not made of: nothing is undefined
  apply_window(resolve_window(row({0, 1, 4}), named("full")), float_row(with_nan), std::nullopt, out.data(), 3);
  EXPECT_EQ(out[1], 0);
}

TEST(Window, WordsThatAreNone) {
  for (const char* const word : {"liver", "400", "400,40,1", "0,40", "-400,40", "nan,0", "inf,0", "a,b", ",", "+-4,4",
                                 "1e400,4", " ", "0x10,4"}) {
    EXPECT_NE(raised<InvalidArgument>([&] { check_window(word); }).find("window: got"), std::string::npos) << word;
  }
  EXPECT_EQ(raised<InvalidArgument>([] { check_window("liver"); }),
            "window: got 'liver', expected abdomen, lung, brain, mediastinum, bone, percentile, full, none or "
            "WIDTH,LEVEL; e.g. --window lung");
  for (const char* const word : {"", "none", "full", "percentile", "BONE", "7,1"}) EXPECT_NO_THROW(check_window(word));
}

TEST(Window, OfACtThatIsNotInHounsfieldUnits) {
  EXPECT_EQ(default_window("CT"), "abdomen");
  EXPECT_EQ(default_window("CT", false), "percentile");
  EXPECT_EQ(default_window("mri", false), "percentile");
  EXPECT_EQ(default_window(""), "full");
  for (const CtPreset& preset : ct_presets()) {
    WindowOptions options = named(preset.name);
    options.hounsfield = false;
    EXPECT_NE(raised<InvalidArgument>([&] {
                (void)resolve_window(row({1, 2}), options);
              }).find(preset.name + " for a CT that is not in Hounsfield units"),
              std::string::npos);
  }
}

TEST(Window, OfSlicesThatAreGivenOneAtATime) {
  const std::vector<double> values{3, 1e-60, 5, 4};
  std::vector<std::int64_t> asked;
  const auto slices = [&](std::int64_t k) {
    asked.push_back(k);
    return SampleView{&values[static_cast<std::size_t>(2 * k)], SampleType::f64, 1, 2, 16};
  };
  const IntensityWindow window = resolve_window(2, SampleType::f64, slices, named("percentile"));
  EXPECT_EQ(asked, (std::vector<std::int64_t>{0, 1, 0, 1}));
  EXPECT_NEAR(window.low, 0.045, 1e-12);  // of 0 (1e-60 as a float), 3, 4, 5
  EXPECT_THROW((void)resolve_window(2, SampleType::f32, slices, named("full")), InvalidArgument);
  const auto fails = [](std::int64_t) -> SampleView { throw Cancelled("enough"); };
  EXPECT_THROW((void)resolve_window(2, SampleType::f32, fails, named("full")), Cancelled);
  EXPECT_EQ(resolve_window(0, SampleType::f32, fails, named("full")).brightest, 0);
  EXPECT_THROW((void)resolve_window(-1, SampleType::f32, fails, named("full")), InvalidArgument);
}

TEST(Window, ViewsThatAreUnsound) {
  const double values[4] = {1, 2, 3, 4};
  const SampleView good{values, SampleType::f64, 2, 2, 16};
  IntensityWindow window;
  window.rule = Rule::stretch;
  Bytes out(8, 99);
  EXPECT_NO_THROW(apply_window(window, good, std::nullopt, out.data(), 4));
  EXPECT_EQ(out, (Bytes{0, 0, 99, 99, 0, 0, 99, 99}));  // nothing beside its rows is written
  const auto bad = [&](auto&& change) {
    SampleView view = good;
    change(view);
    EXPECT_THROW(apply_window(window, view, std::nullopt, out.data(), 4), InvalidArgument);
  };
  bad([](SampleView& v) { v.data = nullptr; });
  bad([](SampleView& v) { v.height = -1; });
  bad([](SampleView& v) { v.width = std::int64_t{1} << 60; });
  bad([](SampleView& v) { v.row_stride = 8; });
  bad([](SampleView& v) { v.row_stride = std::numeric_limits<std::int64_t>::min(); });
  bad([](SampleView& v) { v.row_stride = 20; });
  bad([](SampleView& v) { v.data = static_cast<const char*>(v.data) + 4; });
  bad([](SampleView& v) { v.type = static_cast<SampleType>(77); });
  EXPECT_THROW(apply_window(window, good, std::nullopt, nullptr, 4), InvalidArgument);
  EXPECT_THROW(apply_window(window, good, std::nullopt, out.data(), 1), InvalidArgument);
  const VolumeView volume{values, PixelType::u8, 2, 1, 2, 1, 2, 2};
  EXPECT_THROW(apply_window(window, volume, 2, std::nullopt, out.data(), 2), InvalidArgument);
  EXPECT_THROW(apply_window(window, volume, -1, std::nullopt, out.data(), 2), InvalidArgument);
  const SampleView bottom_up{values + 2, SampleType::f64, 2, 2, -16};
  const IntensityWindow full = resolve_window(
      1, SampleType::f64, [&](std::int64_t) { return bottom_up; }, named("full"));
  EXPECT_EQ(full.brightest, 4);
  apply_window(full, bottom_up, std::nullopt, out.data(), 2);
  EXPECT_EQ((Bytes(out.begin(), out.begin() + 4)), (Bytes{170, 255, 0, 85}));
}

}  // namespace
}  // namespace medsam
