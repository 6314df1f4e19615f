// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The interface of the pixel kernels. It depends on the standard library alone.
//
// Every kernel has a scalar version (kernels/pixels/reference/, the oracle) and a SIMD one (kernels/pixels/simd/,
// Highway, all targets from one source); table() picks the best target the CPU has, once. Kernels are noexcept,
// allocate nothing (the caller gives scratch memory) and check nothing: sizes are checked once, at the engine's edge.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace medsam::kernels {

enum class PixelType : std::uint8_t { u8, u16, i16, f32 };
enum class LabelType : std::uint8_t { u8, u16, u32 };

/// (H, W, channels) interleaved pixels; row_stride in bytes, may be negative.
struct Pixels {
  const void* data;
  PixelType type;
  std::int64_t height, width;
  int channels;  // 1 or 3
  std::int64_t row_stride;
};

/// OpenCV's INTER_AREA, INTER_LINEAR, INTER_CUBIC, including their rounding for integer pixels; spline:
/// skimage.transform.resize of order 3 with antialiasing, in double precision; antialiased: Pillow's BILINEAR.
enum class Interpolation : std::uint8_t { area, linear, cubic, spline, antialiased };

enum class Normalize : std::uint8_t {
  min_max,         // (v - min) / max(max - min, min_range), min and max over the resized image, all channels jointly
  min_max_padded,  // the same, the zero padding taking part in min and max and being normalized with the rest (QMedSAM)
  mean_std,        // (v - mean[c]) / std[c]
};

/// Resize (H, W) to (new_height, new_width), normalize, and pad with zeros right and bottom to (out_size, out_size).
/// The resized image is rounded to the pixel type as OpenCV does before it is normalized; spline drops the fraction of
/// u8 pixels and antialiased rounds it as Pillow does; both keep that of all others, which become f32. When the sizes
/// are equal no resampling takes place.
struct ResizeNormalizeParams {
  std::int64_t new_height, new_width;
  std::int64_t out_size;  // >= new_height, new_width
  Interpolation interpolation;
  Normalize normalize;
  double min_range;          // min_max: lower bound of the divisor
  float mean[3], stddev[3];  // mean_std
};

/// Crop the top-left (unpadded_height, unpadded_width) of logits (., logits_stride floats a row), upsample bilinearly
/// (align_corners = false, edges clamped, as torch's interpolate) to (height, width), and where the value is >
/// threshold write `label`; other elements of out are left as they are.
struct UpsampleThresholdParams {
  const float* logits;
  std::int64_t logits_stride;
  std::int64_t unpadded_height, unpadded_width;
  std::int64_t height, width;
  float threshold;
  void* out;  // (height, width) labels
  LabelType label_type;
  std::int64_t out_row_stride;  // bytes
  std::uint32_t label;
};

/// Inclusive bounding box and pixel count of what upsample_threshold wrote; empty: area 0, box (0, 0, -1, -1).
struct MaskStats {
  std::int64_t area;
  std::int64_t x0, y0, x1, y1;
};

/// Keyed sums over a block of bytes: NH, in four passes with shifted keys (Black, Halevi, Krawczyk, Krovetz, Rogaway,
/// "UMAC: Fast and Secure Message Authentication", CRYPTO 1999, sections 4 and 5). With words m of the block and a
/// secret, uniformly random key k, sum p = sum over even i of (m[i] + k[i + 16 p]) (m[i + 1] + k[i + 1 + 16 p]) modulo
/// 2^64, the inner sums modulo 2^32: two blocks chosen without knowledge of the key agree in all four sums with a
/// probability of at most 2^-128. Words are little-endian.
inline constexpr std::size_t kSumBlockBytes = 4096, kBlockSums = 4, kBlockSumShift = 16;
struct BlockSumKey {
  std::uint32_t words[kSumBlockBytes / sizeof(std::uint32_t) + (kBlockSums - 1) * kBlockSumShift];
};

/// One implementation of every kernel.
struct KernelTable {
  const char* name;  // "SCALAR", or Highway's name of the target, e.g. "AVX2", "AVX3"

  /// Bytes of scratch that resize_normalize needs (64-byte aligned); 0 is possible.
  std::size_t (*resize_normalize_scratch)(const Pixels&, const ResizeNormalizeParams&) noexcept;
  /// out: (3, out_size, out_size) planar floats. A 1-channel image fills three equal planes.
  /// Returns false when an f32 image holds a non-finite value (out is then unspecified).
  bool (*resize_normalize)(const Pixels&, const ResizeNormalizeParams&, float* out, void* scratch) noexcept;

  std::size_t (*upsample_threshold_scratch)(const UpsampleThresholdParams&) noexcept;
  MaskStats (*upsample_threshold)(const UpsampleThresholdParams&, void* scratch) noexcept;

  /// n floats to f16 (IEEE half precision), halves to even, and back (exact). to_f16 returns false when a value is not
  /// finite or rounds beyond 65504; out is then unspecified.
  bool (*to_f16)(const float* in, std::uint16_t* out, std::int64_t n) noexcept;
  void (*from_f16)(const std::uint16_t* in, float* out, std::int64_t n) noexcept;

  /// `block` holds kSumBlockBytes bytes, of any alignment.
  void (*block_sums)(const BlockSumKey& key, const void* block, std::uint64_t sums[kBlockSums]) noexcept;
};

/// The table in use: the best target this CPU has, or the one $MEDSAM_ENGINE_SIMD names ("SCALAR", "AVX2", ...), read
/// once. Throws std::invalid_argument, naming the targets available, when the variable names one the CPU or this build
/// lacks.
const KernelTable& table();
/// The oracle.
const KernelTable& reference_table() noexcept;
/// Every table this CPU can run, scalar first, best last.
std::vector<const KernelTable*> available_tables();

}  // namespace medsam::kernels
