// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Random images of every type and layout, and calls of a kernel table with scratch memory of exactly the size it asks
// for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <random>
#include <string>
#include <vector>

#include "kernels/pixels/pixel_kernels.hpp"

namespace medsam::kernels {

enum class RowLayout : std::uint8_t { dense, padded, bottom_up };

/// Owns pixels in the asked layout; what lies between rows is filled with a pattern, so that reading it shows.
class TestImage {
 public:
  TestImage(PixelType type, std::int64_t height, std::int64_t width, int channels, RowLayout layout,
            std::uint32_t seed);
  const Pixels& pixels() const { return pixels_; }
  /// First sample of row y.
  std::byte* row(std::int64_t y) { return first_ + y * pixels_.row_stride; }

 private:
  std::vector<std::byte> memory_;
  std::byte* first_ = nullptr;
  Pixels pixels_{};
};

inline std::size_t sample_bytes(PixelType type) { return type == PixelType::u8 ? 1 : type == PixelType::f32 ? 4 : 2; }

inline void fill_random(PixelType type, std::byte* row, std::int64_t samples, std::mt19937& random) {
  for (std::int64_t i = 0; i < samples; ++i) {
    const auto bits = static_cast<std::uint32_t>(random());
    if (type == PixelType::f32) {
      const float value = static_cast<float>(static_cast<std::int32_t>(bits)) / 1e6F;
      std::memcpy(row + i * 4, &value, 4);
    } else {
      std::memcpy(row + static_cast<std::size_t>(i) * sample_bytes(type), &bits, sample_bytes(type));
    }
  }
}

inline TestImage::TestImage(PixelType type, std::int64_t height, std::int64_t width, int channels, RowLayout layout,
                            std::uint32_t seed) {
  const std::int64_t bytes = width * channels * static_cast<std::int64_t>(sample_bytes(type));
  const std::int64_t stride = layout == RowLayout::dense ? bytes : bytes + 20;
  // Dense images end with their last sample, so that a sanitizer sees a read past it.
  memory_.assign(static_cast<std::size_t>((height - 1) * stride + bytes), std::byte{0x5A});
  const bool bottom_up = layout == RowLayout::bottom_up;
  first_ = memory_.data() + (bottom_up ? (height - 1) * stride : 0);
  pixels_ = {first_, type, height, width, channels, bottom_up ? -stride : stride};
  std::mt19937 random(seed);
  for (std::int64_t y = 0; y < height; ++y) fill_random(type, row(y), width * channels, random);
}

/// 64-byte aligned memory, exactly `bytes` long.
class ScratchMemory {
 public:
  explicit ScratchMemory(std::size_t bytes)
      : memory_(static_cast<std::byte*>(::operator new[](bytes, std::align_val_t{64}))) {
    std::memset(memory_.get(), 0xFF, bytes);  // NaN as floats: reading what was not written shows
  }
  void* data() { return memory_.get(); }

 private:
  struct Deleter {
    void operator()(std::byte* p) const { ::operator delete[](p, std::align_val_t{64}); }
  };
  std::unique_ptr<std::byte, Deleter> memory_;
};

inline ResizeNormalizeParams resize_params(std::int64_t height, std::int64_t width, Interpolation interpolation,
                                           Normalize normalize, std::int64_t padding = 0) {
  const std::int64_t size = (height > width ? height : width) + padding;
  return {
      height, width, size, interpolation, normalize, 1e-8, {123.675F, 116.28F, 103.53F}, {58.395F, 57.12F, 57.375F}};
}

/// Mean 0 and deviation 1: the resized image as it is.
inline ResizeNormalizeParams raw_params(std::int64_t height, std::int64_t width, Interpolation interpolation) {
  ResizeNormalizeParams params = resize_params(height, width, interpolation, Normalize::mean_std);
  for (int c = 0; c < 3; ++c) {
    params.mean[c] = 0.F;
    params.stddev[c] = 1.F;
  }
  return params;
}

/// (3, out_size, out_size); empty when the kernel found a non-finite value.
inline std::vector<float> run_resize(const KernelTable& table, const Pixels& image,
                                     const ResizeNormalizeParams& params) {
  std::vector<float> out(static_cast<std::size_t>(3 * params.out_size * params.out_size), -777.F);
  ScratchMemory scratch(table.resize_normalize_scratch(image, params));
  if (!table.resize_normalize(image, params, out.data(), scratch.data())) out.clear();
  return out;
}

inline MaskStats run_upsample(const KernelTable& table, const UpsampleThresholdParams& params) {
  ScratchMemory scratch(table.upsample_threshold_scratch(params));
  return table.upsample_threshold(params, scratch.data());
}

/// Number of differing elements; NaN differs from everything.
template <typename T>
std::size_t count_different(const std::vector<T>& a, const std::vector<T>& b) {
  std::size_t count = a.size() == b.size() ? 0 : a.size() + b.size();
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) count += a[i] == b[i] ? 0 : 1;
  return count;
}

inline const char* name_of(PixelType type) {
  constexpr const char* kNames[] = {"u8", "u16", "i16", "f32"};
  return kNames[static_cast<int>(type)];
}
inline const char* name_of(Interpolation interpolation) {
  constexpr const char* kNames[] = {"area", "linear", "cubic", "spline", "antialiased"};
  return kNames[static_cast<int>(interpolation)];
}

inline constexpr PixelType kPixelTypes[] = {PixelType::u8, PixelType::u16, PixelType::i16, PixelType::f32};
inline constexpr Interpolation kInterpolations[] = {Interpolation::area, Interpolation::linear, Interpolation::cubic,
                                                    Interpolation::spline, Interpolation::antialiased};
inline constexpr Normalize kNormalizations[] = {Normalize::min_max, Normalize::min_max_padded, Normalize::mean_std};
inline constexpr std::int64_t kTails[] = {1, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64};

}  // namespace medsam::kernels
