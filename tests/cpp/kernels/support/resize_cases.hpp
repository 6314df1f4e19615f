// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The results of another library's resize, as the programs of tests/data write them: six i32 (type, height, width,
// channels, new height, new width), the pixels, and what is expected.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "kernels/support/test_image.hpp"

namespace medsam::kernels {

template <class Expected>
struct ResizeCase {
  PixelType type;
  std::int64_t height, width;
  int channels;
  std::int64_t new_height, new_width;
  std::vector<std::byte> pixels;
  std::vector<Expected> expected;  // (new_height, new_width, channels)

  [[nodiscard]] std::string name() const {
    return std::string(name_of(type)) + " " + std::to_string(height) + "x" + std::to_string(width) + "x" +
           std::to_string(channels) + " to " + std::to_string(new_height) + "x" + std::to_string(new_width);
  }
  /// The pixels in a layout of their own.
  [[nodiscard]] TestImage image(RowLayout layout) const {
    TestImage image(type, height, width, channels, layout, 1);
    const auto row = static_cast<std::size_t>(width * channels) * sample_bytes(type);
    for (std::int64_t y = 0; y < height; ++y)
      std::memcpy(image.row(y), &pixels[static_cast<std::size_t>(y) * row], row);
    return image;
  }
};

template <typename T>
void read_values(std::ifstream& file, T* out, std::size_t count) {
  file.read(reinterpret_cast<char*>(out), static_cast<std::streamsize>(count * sizeof(T)));
}

/// The cases of a file; `read_expected(file, one)` fills one's expected values, which have their size.
template <class Expected, class ReadExpected>
std::vector<ResizeCase<Expected>> read_resize_cases(const std::string& path, const ReadExpected& read_expected) {
  std::ifstream file(path, std::ios::binary);
  std::vector<ResizeCase<Expected>> cases;
  std::int32_t header[6];
  for (read_values(file, header, 6); file; read_values(file, header, 6)) {
    ResizeCase<Expected> one{
        static_cast<PixelType>(header[0]), header[1], header[2], header[3], header[4], header[5], {}, {}};
    one.pixels.resize(static_cast<std::size_t>(one.height * one.width * one.channels) * sample_bytes(one.type));
    one.expected.resize(static_cast<std::size_t>(one.new_height * one.new_width * one.channels));
    read_values(file, one.pixels.data(), one.pixels.size());
    read_expected(file, one);
    cases.push_back(std::move(one));
  }
  return cases;
}

}  // namespace medsam::kernels
