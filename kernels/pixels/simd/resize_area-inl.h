// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Area resize. The oracle adds the taps of a cell one after the other, and so must we; the lanes therefore run across
// what is independent: the 3 channels (and one idle lane) of a pixel, or 4 rows of a one-channel image. A row is
// converted to floats once, and once more multiplied by the weight that all inner taps share, so that an inner tap
// costs one addition. Same bits as the oracle; tested at the sizes of
// tests/cpp/kernels/pixels/test_resize_normalize.cpp.
#if defined(MEDSAM_KERNELS_RESIZE_AREA_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MEDSAM_KERNELS_RESIZE_AREA_INL_H_
#undef MEDSAM_KERNELS_RESIZE_AREA_INL_H_
#else
#define MEDSAM_KERNELS_RESIZE_AREA_INL_H_
#endif

#include "kernels/base/carver.hpp"
#include "kernels/pixels/math/resize_plan.hpp"
#include "kernels/pixels/simd/samples-inl.h"

HWY_BEFORE_NAMESPACE();
namespace medsam::kernels {
namespace HWY_NAMESPACE {

inline constexpr std::int64_t kQuad = 4;  // rows of a one-channel image taken together

/// A row is taken in tiles of about this many source pixels, so that its floats stay in the first-level cache.
inline constexpr std::int64_t kTilePixels = 384;

/// Output columns of a tile.
inline std::int64_t tile_columns(std::int64_t image_width, std::int64_t width) {
  const std::int64_t columns = kTilePixels * width / image_width;
  return columns > 1 ? columns : 1;
}

/// Working memory of resize_area.
struct AreaBuffers {
  float* wide;       // a tile of the row(s) as floats, after one pixel of zeros
  float* scaled;     // the same times w_mid
  float* quad_sums;  // (width, 4), one channel only
  float* row_sums;   // (4 or 1, width * channels)
  float* total;      // (width * channels)
};

inline AreaBuffers take_area_buffers(const Pixels& image, std::int64_t width, Carver& carver) {
  const bool quad = image.channels == 1;
  const std::int64_t step = quad ? kQuad : image.channels;
  const std::int64_t tile = (tile_columns(image.width, width) + 1) * (image.width / width + 1) + 4;
  const auto samples = static_cast<std::size_t>((tile + 16) * step);  // 16: a vector past the end
  const auto row = static_cast<std::size_t>(width * image.channels) + 16;
  AreaBuffers b{};
  b.wide = carver.take<float>(samples);
  b.scaled = carver.take<float>(samples);
  b.quad_sums = carver.take<float>(quad ? row * kQuad : 0);
  b.row_sums = carver.take<float>(quad ? row * kQuad : row);
  b.total = carver.take<float>(row);
  return b;
}

/// The common shape of the cells of a row, but for the last one, which OpenCV may cut short.
struct CellShape {
  std::int32_t mids;    // least number of inner taps
  std::int32_t extras;  // further inner taps that some cells have
  float w_mid;
};

inline CellShape cell_shape(const AreaCell* cells, std::int64_t width) {
  std::int32_t least = std::numeric_limits<std::int32_t>::max(), most = 0;
  for (std::int64_t x = 0; x + 1 < width; ++x) {
    const std::int32_t n = cells[x].mid_end - cells[x].mid_begin;
    least = n < least ? n : least;
    most = n > most ? n : most;
  }
  if (width == 1) least = 0;
  return {least, most - least, cells[0].w_mid};
}

/// Columns [begin, end) of the output and the source pixels that they need.
struct AreaTile {
  std::int64_t begin, end;
  std::int64_t first_pixel, last_pixel;  // [first, last)
};

/// The last cell of a row.
template <std::int64_t kStep>
HWY_INLINE void sum_last_cell(const float* wide, const AreaCell& cell, std::int64_t first_pixel, float* out) {
  const hn::FixedTag<float, 4> d;
  const float* p = wide + (cell.mid_begin - first_pixel) * kStep;
  auto sum = hn::Add(hn::Zero(d), hn::Mul(hn::LoadU(d, p - kStep), hn::Set(d, cell.w_first)));
  for (std::int32_t i = cell.mid_begin; i < cell.mid_end; ++i, p += kStep) {
    sum = hn::Add(sum, hn::Mul(hn::LoadU(d, p), hn::Set(d, cell.w_mid)));
  }
  hn::StoreU(hn::Add(sum, hn::Mul(hn::LoadU(d, p), hn::Set(d, cell.w_last))), d, out);
}

/// Row sums of a tile's cells. kStep floats lie between neighboring source pixels and between output pixels; of the 4
/// floats stored for each output those beyond kStep are overwritten by the next one. kMids: shape.mids, or 0 when known
/// only at run time.
template <std::int64_t kStep, std::int32_t kMids>
HWY_NOINLINE void sum_cells_of(const AreaBuffers& b, const AreaCell* HWY_RESTRICT cells, std::int64_t width,
                               const AreaTile& tile, const CellShape& shape, float* HWY_RESTRICT out) {
  const hn::FixedTag<float, 4> d;
  const float* HWY_RESTRICT wide = b.wide + kStep;
  const float* HWY_RESTRICT scaled = b.scaled + kStep;
  const std::int32_t least = kMids > 0 ? kMids : shape.mids;
  const std::int64_t whole = tile.end < width ? tile.end : width - 1;
  for (std::int64_t x = tile.begin; x < whole; ++x) {
    const AreaCell& cell = cells[x];
    const std::int64_t at = (cell.mid_begin - tile.first_pixel) * kStep;
    const std::int64_t mids = cell.mid_end - cell.mid_begin;
    const float* mid = scaled + at;
    // Absent outer taps have weight 0 and add +-0, absent extra taps are masked to +0: no branch, and no change to a
    // sum.
    auto sum = hn::Add(hn::Zero(d), hn::Mul(hn::LoadU(d, wide + at - kStep), hn::Set(d, cell.w_first)));
    for (std::int32_t k = 0; k < least; ++k, mid += kStep) sum = hn::Add(sum, hn::LoadU(d, mid));
    for (std::int32_t k = 0; k < shape.extras; ++k, mid += kStep) {
      const auto keep = hn::BitCast(d, hn::Set(hn::FixedTag<std::int32_t, 4>(), least + k < mids ? -1 : 0));
      sum = hn::Add(sum, hn::And(hn::LoadU(d, mid), keep));
    }
    sum = hn::Add(sum, hn::Mul(hn::LoadU(d, wide + at + mids * kStep), hn::Set(d, cell.w_last)));
    hn::StoreU(sum, d, out + x * kStep);
  }
  if (tile.end == width) sum_last_cell<kStep>(wide, cells[width - 1], tile.first_pixel, out + (width - 1) * kStep);
}

/// The unrolled version for the shape, where there is one.
template <std::int64_t kStep, std::int32_t kMids = 16>
HWY_INLINE void sum_cells(const AreaBuffers& b, const AreaCell* cells, std::int64_t width, const AreaTile& tile,
                          const CellShape& shape, float* out) {
  if (kMids == 0 || shape.mids == kMids) {
    sum_cells_of<kStep, kMids>(b, cells, width, tile, shape, out);
  } else if constexpr (kMids > 0) {
    sum_cells<kStep, kMids - 1>(b, cells, width, tile, shape, out);
  }
}

/// Samples of one row: as floats, and times w. `readable` >= n samples may be read, and a vector beyond n written.
template <typename T>
HWY_NOINLINE void widen_scaled(const T* HWY_RESTRICT src, std::int64_t n, std::int64_t readable, float w,
                               float* HWY_RESTRICT wide, float* HWY_RESTRICT scaled) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i < n && i + lanes <= readable; i += lanes) {
    const auto v = load_samples(d, src + i);
    hn::StoreU(v, d, wide + i);
    hn::StoreU(hn::Mul(v, hn::Set(d, w)), d, scaled + i);
  }
  for (; i < n; ++i) {
    wide[i] = static_cast<float>(src[i]);
    scaled[i] = wide[i] * w;
  }
}

/// Pixels [begin, begin + n) of four rows of a one-channel image, interleaved: (n, 4).
template <typename T>
HWY_NOINLINE void widen_quad(const T* const* rows, std::int64_t begin, std::int64_t n, std::int64_t readable, float w,
                             float* HWY_RESTRICT wide, float* HWY_RESTRICT scaled) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto weight = hn::Set(d, w);
  std::int64_t i = 0;
  for (; i < n && i + lanes <= readable; i += lanes) {
    const auto v0 = load_samples(d, rows[0] + begin + i), v1 = load_samples(d, rows[1] + begin + i);
    const auto v2 = load_samples(d, rows[2] + begin + i), v3 = load_samples(d, rows[3] + begin + i);
    hn::StoreInterleaved4(v0, v1, v2, v3, d, wide + i * kQuad);
    hn::StoreInterleaved4(hn::Mul(v0, weight), hn::Mul(v1, weight), hn::Mul(v2, weight), hn::Mul(v3, weight), d,
                          scaled + i * kQuad);
  }
  for (; i < n; ++i) {
    for (std::int64_t r = 0; r < kQuad; ++r) {
      wide[i * kQuad + r] = static_cast<float>(rows[r][begin + i]);
      scaled[i * kQuad + r] = wide[i * kQuad + r] * w;
    }
  }
}

/// (width, 4) to 4 rows of `stride` floats.
HWY_NOINLINE void split_quad(const float* HWY_RESTRICT in, std::int64_t width, std::int64_t stride,
                             float* HWY_RESTRICT out) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t x = 0;
  for (; x + lanes <= width; x += lanes) {
    hn::Vec<decltype(d)> v0, v1, v2, v3;
    hn::LoadInterleaved4(d, in + x * kQuad, v0, v1, v2, v3);
    hn::StoreU(v0, d, out + x);
    hn::StoreU(v1, d, out + stride + x);
    hn::StoreU(v2, d, out + 2 * stride + x);
    hn::StoreU(v3, d, out + 3 * stride + x);
  }
  for (; x < width; ++x) {
    for (std::int64_t r = 0; r < kQuad; ++r) out[r * stride + x] = in[x * kQuad + r];
  }
}

/// Gives the horizontal sums of a source row; rows are asked for in rising order, a row perhaps twice.
template <typename T>
class AreaRows {
 public:
  AreaRows(const Pixels& image, const AreaCell* cells, std::int64_t width, const AreaBuffers& buffers)
      : image_(image), cells_(cells), width_(width), buffers_(buffers), shape_(cell_shape(cells, width)) {
    const std::int64_t step = image.channels == 1 ? kQuad : image.channels;
    for (std::int64_t i = 0; i < step; ++i) buffers_.wide[i] = 0.F;  // a tap of weight 0 left of the image
  }

  const float* sums(std::int64_t y) {
    const std::int64_t held = image_.channels == 1 ? kQuad : 1;
    if (y >= first_ && y < first_ + held) return buffers_.row_sums + (y - first_) * width_;
    first_ = y;
    const std::int64_t columns = tile_columns(image_.width, width_);
    for (std::int64_t x = 0; x < width_; x += columns) {
      const std::int64_t end = x + columns < width_ ? x + columns : width_;
      const std::int64_t first_pixel = cells_[x].mid_begin > 0 ? cells_[x].mid_begin - 1 : 0;
      const std::int64_t past = cells_[end - 1].mid_end + std::int64_t{1};
      const AreaTile tile{x, end, first_pixel, past < image_.width ? past : image_.width};
      if (image_.channels == 1) {
        sum_quad_tile(y, tile);
      } else {
        const std::int64_t at = tile.first_pixel * 3;
        widen_scaled(row_of<T>(image_, y) + at, (tile.last_pixel - tile.first_pixel) * 3, image_.width * 3 - at,
                     shape_.w_mid, buffers_.wide + 3, buffers_.scaled + 3);
        sum_cells<3>(buffers_, cells_, width_, tile, shape_, buffers_.row_sums);
      }
    }
    if (image_.channels == 1) split_quad(buffers_.quad_sums, width_, width_, buffers_.row_sums);
    return buffers_.row_sums;
  }

 private:
  void sum_quad_tile(std::int64_t y, const AreaTile& tile) {
    const T* rows[kQuad];
    for (std::int64_t r = 0; r < kQuad; ++r) {
      rows[r] = row_of<T>(image_, y + r < image_.height ? y + r : image_.height - 1);
    }
    widen_quad(rows, tile.first_pixel, tile.last_pixel - tile.first_pixel, image_.width - tile.first_pixel,
               shape_.w_mid, buffers_.wide + kQuad, buffers_.scaled + kQuad);
    sum_cells<kQuad>(buffers_, cells_, width_, tile, shape_, buffers_.quad_sums);
  }

  const Pixels& image_;
  const AreaCell* cells_;
  std::int64_t width_;
  AreaBuffers buffers_;
  CellShape shape_;
  std::int64_t first_ = std::numeric_limits<std::int64_t>::min() / 2;
};

/// total[i] += weight * row[i], or, for the first row, = 0 + weight * row[i]
HWY_NOINLINE void add_row(const float* HWY_RESTRICT row, float weight, bool first, std::int64_t n,
                          float* HWY_RESTRICT total) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto w = hn::Set(d, weight);
  for (std::int64_t i = 0; i < n; i += lanes) {
    const auto base = first ? hn::Zero(d) : hn::LoadU(d, total + i);
    hn::StoreU(hn::Add(base, hn::Mul(w, hn::LoadU(d, row + i))), d, total + i);
  }
}

template <typename T>
void resize_area(const Pixels& image, const ResizePlan& plan, const AreaBuffers& buffers, std::int64_t height,
                 std::int64_t width, T* out) {
  const std::int64_t n = width * image.channels;
  AreaRows<T> rows(image, plan.cells_x, width, buffers);
  for (std::int64_t y = 0; y < height; ++y) {
    const AreaCell& cell = plan.cells_y[y];
    bool first = true;
    if (cell.w_first != 0.F) {
      add_row(rows.sums(cell.mid_begin - 1), cell.w_first, first, n, buffers.total);
      first = false;
    }
    for (std::int32_t sy = cell.mid_begin; sy < cell.mid_end; ++sy, first = false) {
      add_row(rows.sums(sy), cell.w_mid, first, n, buffers.total);
    }
    if (cell.w_last != 0.F) add_row(rows.sums(cell.mid_end), cell.w_last, first, n, buffers.total);
    round_row(buffers.total, n, out + y * n);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace medsam::kernels
HWY_AFTER_NAMESPACE();

#endif  // include guard
