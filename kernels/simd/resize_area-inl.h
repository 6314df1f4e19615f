// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Area resize. The oracle adds the taps of a cell one after the other, and so must we; the lanes therefore run across what
// is independent: the 3 channels (and one idle lane) of a pixel, or 4 rows of a one-channel image. A row is converted to
// floats once, and once more multiplied by the weight that all inner taps share, so that an inner tap costs one addition.
// Same bits as the oracle; tested at the sizes of tests/cpp/kernels/resize_normalize_test.cpp.
#if defined(MEDSAM_KERNELS_RESIZE_AREA_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MEDSAM_KERNELS_RESIZE_AREA_INL_H_
#undef MEDSAM_KERNELS_RESIZE_AREA_INL_H_
#else
#define MEDSAM_KERNELS_RESIZE_AREA_INL_H_
#endif

#include "kernels/resize_plan.hpp"
#include "kernels/scratch.hpp"
#include "kernels/simd/samples-inl.h"

HWY_BEFORE_NAMESPACE();
namespace medsam::kernels {
namespace HWY_NAMESPACE {

inline constexpr std::int64_t kQuad = 4;  // rows of a one-channel image taken together

/// Working memory of resize_area.
struct AreaBuffers {
  float* wide;       // the row(s) as floats, after one pixel of zeros
  float* scaled;     // the same times w_mid
  float* quad_sums;  // (width, 4), one channel only
  float* row_sums;   // (4 or 1, width * channels)
  float* total;      // (width * channels)
};

inline AreaBuffers take_area_buffers(const Pixels& image, std::int64_t width, Scratch& scratch) {
  const bool quad = image.channels == 1;
  const std::int64_t step = quad ? kQuad : image.channels;
  const auto samples = static_cast<std::size_t>((image.width + 2) * step);
  const auto row = static_cast<std::size_t>(width * image.channels) + 16;
  AreaBuffers b{};
  b.wide = scratch.take<float>(samples);
  b.scaled = scratch.take<float>(samples);
  b.quad_sums = scratch.take<float>(quad ? row * kQuad : 0);
  b.row_sums = scratch.take<float>(quad ? row * kQuad : row);
  b.total = scratch.take<float>(row);
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

/// Row sums of all cells. `step` floats lie between neighbouring source pixels, `out_step` between output pixels; of the
/// 4 floats stored for each output those beyond out_step are overwritten by the next one.
HWY_NOINLINE void sum_cells(const AreaBuffers& b, const AreaCell* HWY_RESTRICT cells, std::int64_t width,
                            const CellShape& shape, std::int64_t step, std::int64_t out_step, float* HWY_RESTRICT out) {
  const hn::FixedTag<float, 4> d;
  const float* HWY_RESTRICT wide = b.wide + step;
  const float* HWY_RESTRICT scaled = b.scaled + step;
  for (std::int64_t x = 0; x + 1 < width; ++x) {
    const AreaCell& cell = cells[x];
    const float* mid = scaled + cell.mid_begin * step;
    // Absent outer taps have weight 0 and add +-0, absent extra taps are masked to +0: no branch, and no change to a sum.
    auto sum = hn::Add(hn::Zero(d), hn::Mul(hn::LoadU(d, wide + (cell.mid_begin - 1) * step), hn::Set(d, cell.w_first)));
    for (std::int32_t k = 0; k < shape.mids; ++k, mid += step) sum = hn::Add(sum, hn::LoadU(d, mid));
    for (std::int32_t k = 0; k < shape.extras; ++k, mid += step) {
      const bool present = cell.mid_begin + shape.mids + k < cell.mid_end;
      const auto keep = hn::BitCast(d, hn::Set(hn::FixedTag<std::int32_t, 4>(), present ? -1 : 0));
      sum = hn::Add(sum, hn::And(hn::LoadU(d, mid), keep));
    }
    sum = hn::Add(sum, hn::Mul(hn::LoadU(d, wide + cell.mid_end * step), hn::Set(d, cell.w_last)));
    hn::StoreU(sum, d, out + x * out_step);
  }
  const AreaCell& last = cells[width - 1];
  auto sum = hn::Add(hn::Zero(d), hn::Mul(hn::LoadU(d, wide + (last.mid_begin - 1) * step), hn::Set(d, last.w_first)));
  for (std::int32_t i = last.mid_begin; i < last.mid_end; ++i) {
    sum = hn::Add(sum, hn::Mul(hn::LoadU(d, wide + i * step), hn::Set(d, last.w_mid)));
  }
  sum = hn::Add(sum, hn::Mul(hn::LoadU(d, wide + last.mid_end * step), hn::Set(d, last.w_last)));
  hn::StoreU(sum, d, out + (width - 1) * out_step);
}

/// One row of pixels: as floats, and times w.
template <typename T>
HWY_NOINLINE void widen_scaled(const T* HWY_RESTRICT src, std::int64_t n, float w, float* HWY_RESTRICT wide,
                               float* HWY_RESTRICT scaled) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto v = load_samples(d, src + i);
    hn::StoreU(v, d, wide + i);
    hn::StoreU(hn::Mul(v, hn::Set(d, w)), d, scaled + i);
  }
  for (; i < n; ++i) {
    wide[i] = static_cast<float>(src[i]);
    scaled[i] = wide[i] * w;
  }
}

/// Four rows of a one-channel image, interleaved: (width, 4).
template <typename T>
HWY_NOINLINE void widen_quad(const T* const* rows, std::int64_t n, float w, float* HWY_RESTRICT wide,
                             float* HWY_RESTRICT scaled) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto weight = hn::Set(d, w);
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto v0 = load_samples(d, rows[0] + i), v1 = load_samples(d, rows[1] + i);
    const auto v2 = load_samples(d, rows[2] + i), v3 = load_samples(d, rows[3] + i);
    hn::StoreInterleaved4(v0, v1, v2, v3, d, wide + i * kQuad);
    hn::StoreInterleaved4(hn::Mul(v0, weight), hn::Mul(v1, weight), hn::Mul(v2, weight), hn::Mul(v3, weight), d,
                          scaled + i * kQuad);
  }
  for (; i < n; ++i) {
    for (std::int64_t r = 0; r < kQuad; ++r) {
      wide[i * kQuad + r] = static_cast<float>(rows[r][i]);
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
    for (std::int64_t i = 0; i < step; ++i) buffers_.wide[i] = buffers_.scaled[i] = 0.F;
    const std::int64_t end = (image.width + 1) * step;  // read by idle lanes and by taps of weight 0
    for (std::int64_t i = 0; i < step; ++i) buffers_.wide[end + i] = buffers_.scaled[end + i] = 0.F;
  }

  const float* sums(std::int64_t y) {
    const std::int64_t held = image_.channels == 1 ? kQuad : 1;
    if (y >= first_ && y < first_ + held) return buffers_.row_sums + (y - first_) * width_;
    first_ = y;
    if (image_.channels == 1) {
      const T* rows[kQuad];
      for (std::int64_t r = 0; r < kQuad; ++r) {
        const std::int64_t at = y + r < image_.height ? y + r : image_.height - 1;
        rows[r] = row_of<T>(image_, at);
      }
      widen_quad(rows, image_.width, shape_.w_mid, buffers_.wide + kQuad, buffers_.scaled + kQuad);
      sum_cells(buffers_, cells_, width_, shape_, kQuad, kQuad, buffers_.quad_sums);
      split_quad(buffers_.quad_sums, width_, width_, buffers_.row_sums);
    } else {
      widen_scaled(row_of<T>(image_, y), image_.width * 3, shape_.w_mid, buffers_.wide + 3, buffers_.scaled + 3);
      sum_cells(buffers_, cells_, width_, shape_, 3, 3, buffers_.row_sums);
    }
    return buffers_.row_sums;
  }

 private:
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
