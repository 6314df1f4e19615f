// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Planes of a volume as the encoder gets them, against the formula written out.
#include "session/plane_image.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "medsam/error.hpp"

namespace medsam::session {
namespace {

/// A volume of random samples of type T, with gaps between its rows and slices.
template <class T>
struct Volume {
  std::int64_t depth, height, width;
  int channels;
  std::vector<T> samples;
  std::int64_t row, slice;  // samples

  Volume(std::int64_t d, std::int64_t h, std::int64_t w, int c)
      : depth(d), height(h), width(w), channels(c), row(w * c + 3), slice(row * h + 5) {
    samples.resize(static_cast<std::size_t>(slice * d));
    std::mt19937 random(17);
    for (auto& v : samples)
      v = static_cast<T>(static_cast<std::int32_t>(random() % 65536) - (T(-1) < T(0) ? 32768 : 0));
  }
  [[nodiscard]] VolumeView view(PixelType type) const {
    constexpr std::int64_t kSize = sizeof(T);
    return {samples.data(), type, depth, height, width, channels, row * kSize, slice * kSize};
  }
  [[nodiscard]] double at(const Plane& p, std::int64_t y, std::int64_t x, int c) const {
    const std::int64_t z = p.axis == 0 ? p.index : y;
    const std::int64_t r = p.axis == 0 ? y : (p.axis == 1 ? p.index : x);
    const std::int64_t column = p.axis == 2 ? p.index : x;
    return static_cast<double>(samples[static_cast<std::size_t>(z * slice + r * row + column * channels + c)]);
  }
};

/// The weight of input pixel k for output pixel i: a triangle as wide as a pixel, or as the pixels that fall on one.
std::vector<double> weights(const Resampling& side, std::int64_t i) {
  const double step = static_cast<double>(side.from) / static_cast<double>(side.to), radius = std::max(1.0, step);
  const double center = (static_cast<double>(i) + 0.5) * step - 0.5;
  std::vector<double> all;
  double sum = 0;
  for (std::int64_t k = 0; k < side.from; ++k) {
    all.push_back(std::max(0.0, 1 - std::abs(static_cast<double>(k) - center) / radius));
    sum += all.back();
  }
  for (double& w : all) w /= sum;
  return all;
}

SessionOptions spacing(double z, double y, double x) {
  SessionOptions options;
  options.spacing_z = z;
  options.spacing_y = y;
  options.spacing_x = x;
  return options;
}

template <class T>
void expect_plane(const Volume<T>& volume, const Pixels& pixels, const Plane& plane) {
  const EncodedSize size = encoded_size(pixels.grid(), plane.axis);
  const PlaneImage image = pixels.image(plane);
  ASSERT_EQ(image.view.height, size.rows.to);
  ASSERT_EQ(image.view.width, size.columns.to);
  ASSERT_EQ(image.view.channels, volume.channels);
  for (std::int64_t y = 0; y < size.rows.to; ++y) {
    const std::vector<double> down = weights(size.rows, y);
    const auto* row = reinterpret_cast<const T*>(static_cast<const char*>(image.view.data) + y * image.view.row_stride);
    for (std::int64_t x = 0; x < size.columns.to; ++x) {
      const std::vector<double> across = weights(size.columns, x);
      for (int c = 0; c < volume.channels; ++c) {
        double wanted = 0;
        for (std::size_t v = 0; v < down.size(); ++v) {
          if (down[v] == 0) continue;
          for (std::size_t u = 0; u < across.size(); ++u) {
            if (across[u] == 0) continue;
            wanted +=
                down[v] * across[u] * volume.at(plane, static_cast<std::int64_t>(v), static_cast<std::int64_t>(u), c);
          }
        }
        const double tolerance = (std::is_integral_v<T> ? 0.5 : 0.0) + 0.05;
        ASSERT_NEAR(static_cast<double>(row[x * volume.channels + c]), wanted, size.changed() ? tolerance : 0)
            << plane.axis << ": " << x << ", " << y;
      }
    }
  }
}

template <class T>
void expect_all_planes(PixelType type, int channels) {
  const Volume<T> volume(5, 7, 9, channels);
  for (const SessionOptions& options :
       {spacing(1, 1, 1), spacing(2.5, 1, 1), spacing(1, 1, 3), spacing(0.7, 2, 0.5), spacing(1, 1.005, 1)}) {
    const Pixels pixels(volume.view(type), options);
    for (int axis = 0; axis < 3; ++axis) {
      for (const std::int64_t index : {std::int64_t{0}, pixels.grid().shape[axis] - 1}) {
        expect_plane(volume, pixels, {axis, index});
      }
    }
  }
}

TEST(PlaneImage, IsTheFormulaForAllTypesAxesAndChannels) {
  for (const int channels : {1, 3}) {
    expect_all_planes<std::uint8_t>(PixelType::u8, channels);
    expect_all_planes<std::uint16_t>(PixelType::u16, channels);
    expect_all_planes<std::int16_t>(PixelType::i16, channels);
    expect_all_planes<float>(PixelType::f32, channels);
  }
}

TEST(PlaneImage, ConstantPixelsStayAtTheEndsOfTheirType) {
  const auto check = [](auto value, PixelType type) {
    using T = decltype(value);
    const std::vector<T> samples(3 * 5 * 7, value);
    constexpr std::int64_t kSize = sizeof(T);
    const Pixels pixels({samples.data(), type, 3, 5, 7, 1, 7 * kSize, 35 * kSize}, spacing(3.3, 0.9, 0.37));
    for (int axis = 0; axis < 3; ++axis) {
      const PlaneImage image = pixels.image({axis, 1});
      const auto* got = static_cast<const T*>(image.view.data);
      for (std::int64_t i = 0; i < image.view.height * image.view.width; ++i) {
        ASSERT_EQ(got[i], value) << axis;
      }
    }
  };
  check(std::uint8_t{255}, PixelType::u8);
  check(std::uint8_t{0}, PixelType::u8);
  check(std::uint16_t{65535}, PixelType::u16);
  check(std::int16_t{-32768}, PixelType::i16);
  check(std::int16_t{32767}, PixelType::i16);
}

TEST(PlaneImage, LargeFloatsStayFinite) {
  const std::vector<float> samples(3 * 5 * 7 * 3, std::numeric_limits<float>::max());
  const Pixels pixels({samples.data(), PixelType::f32, 3, 5, 7, 3, 84, 420}, spacing(3.3, 0.9, 0.37));
  for (int axis = 0; axis < 3; ++axis) {
    const PlaneImage image = pixels.image({axis, 1});
    const auto* got = static_cast<const float*>(image.view.data);
    for (std::int64_t i = 0; i < image.view.height * image.view.width * 3; ++i) ASSERT_TRUE(std::isfinite(got[i]));
  }
}

TEST(PlaneImage, PixelsAreSquareAndNoSideIsWithoutBounds) {
  for (const double long_side : {1.0, 1.5, 7.0, 1e3, 1e13}) {
    for (const bool tall : {false, true}) {
      const double unit = long_side > 1e6 ? 1e-7 : 1;
      const Grid grid{{1, 60, 50}, {1, tall ? long_side * unit : unit, tall ? unit : long_side * unit}};
      const EncodedSize size = encoded_size(grid, 0);
      ASSERT_TRUE(size.rows.to >= 1 && size.rows.to <= 4096 && size.columns.to >= 1 && size.columns.to <= 4096);
      EXPECT_EQ(size.rows.from, 60);
      EXPECT_EQ(size.columns.from, 50);
      if (long_side > 1000) continue;  // a plane thinner than a pixel
      const double shape = (60 * grid.spacing[1]) / (50 * grid.spacing[2]);
      const double got = static_cast<double>(size.rows.to) / static_cast<double>(size.columns.to);
      const double rounding = 0.5 / static_cast<double>(std::min(size.rows.to, size.columns.to));
      EXPECT_NEAR(got / shape, 1, 2 * rounding);
    }
  }
  EXPECT_FALSE(encoded_size({{1, 60, 50}, {1, 1, 1.009}}, 0).changed());
  EXPECT_TRUE(encoded_size({{1, 60, 50}, {1, 1, 1.02}}, 0).changed());
  const EncodedSize large = encoded_size({{1, 6000, 5000}, {1, 2, 1}}, 0);
  EXPECT_EQ(large.rows.to, 6000) << "a side that is longer than the bound stays";
  EXPECT_EQ(large.columns.to, 2500);
}

TEST(PlaneImage, ExtremeSpacingsGiveAnImage) {
  const std::vector<std::uint8_t> samples(4 * 5 * 6, 77);
  for (const auto& [z, y, x] : {std::tuple{1e-7, 1e6, 1.0}, {1e6, 1e-7, 1e-7}, {1.0, 1e6, 1e-7}}) {
    const Pixels pixels({samples.data(), PixelType::u8, 4, 5, 6, 1, 6, 30}, spacing(z, y, x));
    for (int axis = 0; axis < 3; ++axis) {
      const PlaneImage image = pixels.image({axis, 2});
      const auto* got = static_cast<const std::uint8_t*>(image.view.data);
      for (std::int64_t i = 0; i < image.view.height * image.view.width; ++i) ASSERT_EQ(got[i], 77);
    }
  }
}

TEST(PlaneImage, CoordinatesGoThereAndBack) {
  const EncodedSize size = encoded_size({{1, 30, 41}, {1, 2.7, 1}}, 0);
  for (double x = 0; x <= 40; x += 0.25) {
    for (double y = 0; y <= 29; y += 0.25) {
      const Point there = encoded_point(size, {x, y}, true);
      EXPECT_EQ(there.label, 1);
      const Resampling back_x{size.columns.to, size.columns.from}, back_y{size.rows.to, size.rows.from};
      EXPECT_NEAR(back_x.position(there.x), x, 1e-9);
      const double unclamped = size.rows.position(y);
      if (unclamped >= 0 && unclamped <= static_cast<double>(size.rows.to - 1)) {
        EXPECT_NEAR(back_y.position(there.y), y, 1e-9);
      }
    }
  }
  EXPECT_EQ(encoded_point(size, {3, 3}, false).label, 0);
}

TEST(PlaneImage, ABoxOfWholePixelsCoversTheirEdges) {
  for (const double ratio : {0.3, 1.0, 2.7, 900.0}) {
    const EncodedSize size = encoded_size({{1, 30, 41}, {1, ratio, 1}}, 0);
    for (const Box& box : {Box{0, 0, 40, 29}, Box{0, 0, 0, 0}, Box{40, 29, 40, 29}, Box{5, 7, 20, 9}}) {
      const Box got = encoded_box(size, box);
      EXPECT_GE(got.x0, 0);
      EXPECT_GE(got.y0, 0);
      EXPECT_LE(got.x0, got.x1);
      EXPECT_LE(got.y0, got.y1);
      EXPECT_LE(got.x1, static_cast<double>(size.columns.to - 1));
      EXPECT_LE(got.y1, static_cast<double>(size.rows.to - 1));
      // Left and right edges, of pixels that are at least as large as the encoder's.
      if (size.rows.to >= size.rows.from) {
        EXPECT_NEAR(got.y0, box.y0 * size.rows.scale(), 1e-9);
        EXPECT_NEAR(got.y1 + 1, (box.y1 + 1) * size.rows.scale(), 1e-9);
      }
      if (size.columns.to >= size.columns.from) {
        EXPECT_NEAR(got.x0, box.x0 * size.columns.scale(), 1e-9);
        EXPECT_NEAR(got.x1 + 1, (box.x1 + 1) * size.columns.scale(), 1e-9);
      }
    }
  }
}

TEST(PlaneImage, TheDigestIsOfPixelsTypeChannelsShapeAndSpacing) {
  std::vector<std::uint8_t> samples(2 * 6 * 12, 5);
  const auto digest = [&](PixelType type, std::int64_t d, std::int64_t h, std::int64_t w, int channels,
                          const SessionOptions& options) {
    const std::int64_t row = w * channels * (type == PixelType::u8 ? 1 : 2);
    return Pixels({samples.data(), type, d, h, w, channels, row, row * h}, options).digest();
  };
  const std::string first = digest(PixelType::u8, 2, 6, 12, 1, spacing(1, 1, 1));
  EXPECT_EQ(first.size(), 64u);
  EXPECT_EQ(digest(PixelType::u8, 2, 6, 12, 1, spacing(1, 1, 1)), first);
  EXPECT_NE(digest(PixelType::u8, 1, 12, 12, 1, spacing(1, 1, 1)), first);
  EXPECT_NE(digest(PixelType::u8, 2, 12, 6, 1, spacing(1, 1, 1)), first);
  EXPECT_NE(digest(PixelType::u8, 2, 6, 4, 3, spacing(1, 1, 1)), first);
  EXPECT_NE(digest(PixelType::u16, 2, 6, 6, 1, spacing(1, 1, 1)), first);
  EXPECT_NE(digest(PixelType::u8, 2, 6, 12, 1, spacing(1, 1, std::nextafter(1.0, 2.0))), first);
  const std::string other_i16 = digest(PixelType::i16, 2, 6, 6, 1, spacing(1, 1, 1));
  EXPECT_NE(digest(PixelType::u16, 2, 6, 6, 1, spacing(1, 1, 1)), other_i16);
  samples[100] = 6;
  EXPECT_NE(digest(PixelType::u8, 2, 6, 12, 1, spacing(1, 1, 1)), first);
}

TEST(PlaneImage, TakesVolumesStoredTopDownAndBottomUp) {
  std::vector<std::uint8_t> samples(3 * 4 * 5);
  for (std::size_t i = 0; i < samples.size(); ++i) samples[i] = static_cast<std::uint8_t>(i);
  const Pixels pixels({samples.data() + 59 - 4, PixelType::u8, 3, 4, 5, 1, -5, -20}, spacing(1, 1, 1));
  const PlaneImage first = pixels.image({0, 0}), last = pixels.image({0, 2});
  EXPECT_EQ(static_cast<const std::uint8_t*>(first.view.data)[0], 55);
  EXPECT_EQ(static_cast<const std::uint8_t*>(first.view.data)[first.view.row_stride], 50);
  EXPECT_EQ(static_cast<const std::uint8_t*>(last.view.data)[3 * last.view.row_stride], 0);
}

}  // namespace
}  // namespace medsam::session
