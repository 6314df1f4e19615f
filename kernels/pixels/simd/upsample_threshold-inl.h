// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Crop + bilinear upsample + threshold + label write + statistics in one pass over the output. A row of logits is
// upsampled along x once and kept for the output rows that lie between it and its neighbor. Where all four taps are at
// or below the threshold the value cannot exceed it (rounding is monotonic), so only the columns near a logit above it
// are visited: the cost goes with the object, not with the image. Same bits as the oracle.
#if defined(MEDSAM_KERNELS_UPSAMPLE_THRESHOLD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MEDSAM_KERNELS_UPSAMPLE_THRESHOLD_INL_H_
#undef MEDSAM_KERNELS_UPSAMPLE_THRESHOLD_INL_H_
#else
#define MEDSAM_KERNELS_UPSAMPLE_THRESHOLD_INL_H_
#endif

#include <cmath>

#include "kernels/base/carver.hpp"
#include "kernels/pixels/simd/samples-inl.h"

HWY_BEFORE_NAMESPACE();
namespace medsam::kernels {
namespace HWY_NAMESPACE {

/// Half-open range of columns.
struct Span {
  std::int32_t begin, end;
};

HWY_INLINE Span unite(Span a, Span b) {
  if (a.begin >= a.end) return b;
  if (b.begin >= b.end) return a;
  return {a.begin < b.begin ? a.begin : b.begin, a.end > b.end ? a.end : b.end};
}

struct UpsampleBuffers {
  std::int32_t *i0, *i1;  // (width): taps of each output column
  float *w0, *w1;         // (width)
  std::int32_t* r0;       // (width): i0 relative to the first i0 of the column's vector
  std::int32_t* first;    // (unpadded_width + 1): first output column whose tap i0 is at least this logit column
  Span* active;           // (unpadded_height): output columns that a logit row can raise above the threshold
  float* tail;            // the end of the logit row, its last element twice, and room to read past it
  float* rows[2];         // (width): upsampled logit rows, even and odd
};

inline UpsampleBuffers take_upsample_buffers(const UpsampleThresholdParams& p, Carver& carver) {
  // Columns are filled up to whole vectors.
  const auto width = static_cast<std::size_t>(p.width) + hn::Lanes(hn::ScalableTag<float>());
  const auto unpadded_width = static_cast<std::size_t>(p.unpadded_width);
  UpsampleBuffers b{};
  b.i0 = carver.take<std::int32_t>(width);
  b.i1 = carver.take<std::int32_t>(width);
  b.w0 = carver.take<float>(width);
  b.w1 = carver.take<float>(width);
  b.r0 = carver.take<std::int32_t>(width);
  b.first = carver.take<std::int32_t>(unpadded_width + 1);
  b.active = carver.take<Span>(static_cast<std::size_t>(p.unpadded_height));
  b.tail = carver.take<float>(2 * hn::Lanes(hn::ScalableTag<float>()) + 1);
  b.rows[0] = carver.take<float>(width);
  b.rows[1] = carver.take<float>(width);
  return b;
}

/// Fills in the taps. True when the left taps of every vector of output columns lie within one vector of logits
/// (always, unless the width shrinks), so that a permutation can stand for a gather.
inline bool fill_columns(const UpsampleThresholdParams& p, std::int64_t lanes, const UpsampleBuffers& b) {
  const float scale = static_cast<float>(p.unpadded_width) / static_cast<float>(p.width);
  bool narrow = true;
  std::int32_t base = 0, next = 0;
  for (std::int64_t x = 0; x < p.width; ++x) {
    const BilinearTap tap = bilinear_tap(x, scale, p.unpadded_width);
    if (x % lanes == 0) base = tap.i0;
    b.i0[x] = tap.i0;
    b.i1[x] = tap.i1;
    b.w0[x] = tap.w0;
    b.w1[x] = tap.w1;
    b.r0[x] = tap.i0 - base;
    narrow = narrow && b.r0[x] < lanes;
    for (; next <= tap.i0; ++next) b.first[next] = static_cast<std::int32_t>(x);
  }
  for (; next <= p.unpadded_width; ++next) b.first[next] = static_cast<std::int32_t>(p.width);
  for (std::int64_t x = p.width; x % lanes != 0; ++x) {
    b.i0[x] = b.i1[x] = b.r0[x] = 0;
    b.w0[x] = b.w1[x] = 0.F;
  }
  return narrow;
}

/// A logit at or below this cannot, with others such, give a value above the threshold: the two blends of weights that
/// sum to 1 within a unit in the last place err by less than 2^-20 relative; at threshold 0 signs are exact.
inline float active_bound(float threshold) {
  if (threshold == 0.F) return 0.F;
  return threshold - std::abs(threshold) * 0x1p-18F - std::numeric_limits<float>::min();
}

/// Output columns near the logits of a row that are above the bound.
HWY_NOINLINE Span active_columns(const float* HWY_RESTRICT row, std::int64_t n, float bound,
                                 const std::int32_t* first) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto limit = hn::Set(d, bound);
  std::int64_t lo = 0, hi = n;
  while (lo + lanes <= n && hn::AllFalse(d, hn::Gt(hn::LoadU(d, row + lo), limit))) lo += lanes;
  while (lo < n && !(row[lo] > bound)) ++lo;
  if (lo == n) return {0, 0};
  while (hi - lanes >= lo && hn::AllFalse(d, hn::Gt(hn::LoadU(d, row + hi - lanes), limit))) hi -= lanes;
  while (!(row[hi - 1] > bound)) --hi;
  return {first[lo > 0 ? lo - 1 : 0], first[hi]};
}

/// The blend of pixel_math.hpp. Targets without FMA take the fused step in double, where the product is exact: the sum
/// is then rounded twice, which can differ in the last bit of about one value in 2^29, but not in its sign.
template <class D>
HWY_INLINE hn::Vec<D> blend_lanes(D d, hn::Vec<D> a, hn::Vec<D> b, hn::Vec<D> wa, hn::Vec<D> wb) {
#if HWY_NATIVE_FMA
  (void)d;
  return hn::MulAdd(wa, a, hn::Mul(wb, b));
#else
  const hn::Half<D> dh;
  const hn::Rebind<double, decltype(dh)> dd;
  const auto sum = hn::Mul(wb, b);
  const auto lower = hn::Add(hn::Mul(hn::PromoteTo(dd, hn::LowerHalf(dh, wa)), hn::PromoteTo(dd, hn::LowerHalf(dh, a))),
                             hn::PromoteTo(dd, hn::LowerHalf(dh, sum)));
  const auto upper = hn::Add(hn::Mul(hn::PromoteTo(dd, hn::UpperHalf(dh, wa)), hn::PromoteTo(dd, hn::UpperHalf(dh, a))),
                             hn::PromoteTo(dd, hn::UpperHalf(dh, sum)));
  return hn::Combine(d, hn::DemoteTo(dh, upper), hn::DemoteTo(dh, lower));
#endif
}

/// Columns [span.begin, span.end) of a logit row, upsampled along x; whole vectors, hence a few columns more.
HWY_NOINLINE void upsample_row(const float* HWY_RESTRICT row, std::int64_t unpadded_width, const UpsampleBuffers& b,
                               bool narrow, Span span, float* HWY_RESTRICT out) {
  const hn::ScalableTag<float> d;
  const hn::RebindToSigned<decltype(d)> di;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const std::int64_t tail_begin = unpadded_width > lanes ? unpadded_width - lanes : 0;
  if (narrow) {
    for (std::int64_t i = tail_begin; i < unpadded_width; ++i) b.tail[i - tail_begin] = row[i];
    b.tail[unpadded_width - tail_begin] = row[unpadded_width - 1];  // the last column is its own right neighbor
  }
  std::int64_t x = span.begin / lanes * lanes;  // vectors begin where the relative taps do
  for (; x < span.end; x += lanes) {
    auto left = hn::Zero(d), right = left;
    if (narrow) {
      const std::int64_t base = b.i0[x];
      const float* p = base + lanes + 1 <= unpadded_width ? row + base : b.tail + (base - tail_begin);
      const auto taps = hn::SetTableIndices(d, b.r0 + x);
      left = hn::TableLookupLanes(hn::LoadU(d, p), taps);
      right = hn::TableLookupLanes(hn::LoadU(d, p + 1), taps);
    } else {
      left = hn::GatherIndex(d, row, hn::LoadU(di, b.i0 + x));
      right = hn::GatherIndex(d, row, hn::LoadU(di, b.i1 + x));
    }
    hn::StoreU(blend_lanes(d, left, right, hn::LoadU(d, b.w0 + x), hn::LoadU(d, b.w1 + x)), d, out + x);
  }
}

/// Writes `label` where the mask is true.
template <class D>
HWY_INLINE void write_labels(D /*d*/, hn::Mask<D> mask, std::uint32_t label, std::uint32_t* out) {
  const hn::RebindToUnsigned<D> du;
  const auto old = hn::LoadU(du, out);
  hn::StoreU(hn::IfThenElse(hn::RebindMask(du, mask), hn::Set(du, label), old), du, out);
}
template <class D, typename Label>
HWY_INLINE void write_labels(D /*d*/, hn::Mask<D> mask, std::uint32_t label, Label* out) {
  const hn::RebindToSigned<D> di;
  const hn::Rebind<std::make_signed_t<Label>, D> ds;
  const hn::Rebind<Label, D> du;
  const auto narrow = hn::BitCast(du, hn::DemoteTo(ds, hn::VecFromMask(di, hn::RebindMask(di, mask))));  // -1 or 0
  const auto wanted = hn::And(narrow, hn::Set(du, static_cast<Label>(label)));
  hn::StoreU(hn::Or(wanted, hn::AndNot(narrow, hn::LoadU(du, out))), du, out);
}

/// The same for fewer labels than a vector has: nothing past out[n - 1] is read or written.
template <class D, typename Label>
HWY_INLINE void write_labels_tail(D /*d*/, hn::Mask<D> mask, std::uint32_t label, std::int64_t n, Label* out) {
  const hn::RebindToSigned<D> di;
  HWY_ALIGN std::int32_t inside[HWY_MAX_BYTES / sizeof(std::int32_t)];
  hn::Store(hn::VecFromMask(di, hn::RebindMask(di, mask)), di, inside);
  for (std::int64_t i = 0; i < n; ++i) {
    if (inside[i] != 0) out[i] = static_cast<Label>(label);
  }
}

/// Running statistics of a mask; lanes are merged at the end.
class MaskScan {
 public:
  MaskScan() : lo_(hn::Set(di_, std::numeric_limits<std::int32_t>::max())), hi_(hn::Set(di_, -1)) {}

  /// One output row between the upsampled logit rows `top` and `bottom`.
  template <typename Label>
  HWY_INLINE void scan_row(const float* HWY_RESTRICT top, const float* HWY_RESTRICT bottom, float wt, float wb,
                           Span span, const UpsampleThresholdParams& p, std::int64_t y) {
    auto* out = reinterpret_cast<Label*>(static_cast<std::byte*>(p.out) + y * p.out_row_stride);
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d_));
    const auto weight_t = hn::Set(d_, wt), weight_b = hn::Set(d_, wb), threshold = hn::Set(d_, p.threshold);
    const auto iota = hn::Iota(di_, 0);
    auto count = hn::Zero(di_);
    for (std::int64_t x = span.begin; x < span.end; x += lanes) {
      const auto value = blend_lanes(d_, hn::LoadU(d_, top + x), hn::LoadU(d_, bottom + x), weight_t, weight_b);
      auto mask = hn::Gt(value, threshold);
      const std::int64_t left = span.end - x;
      if (left < lanes) mask = hn::And(mask, hn::FirstN(d_, static_cast<std::size_t>(left)));
      if (hn::AllFalse(d_, mask)) continue;
      if (left < lanes) {
        write_labels_tail(d_, mask, p.label, left, out + x);
      } else {
        write_labels(d_, mask, p.label, out + x);
      }
      const auto inside = hn::RebindMask(di_, mask);
      const auto column = hn::Add(iota, hn::Set(di_, static_cast<std::int32_t>(x)));
      count = hn::Sub(count, hn::VecFromMask(di_, inside));
      lo_ = hn::IfThenElse(inside, hn::Min(lo_, column), lo_);
      hi_ = hn::IfThenElse(inside, hn::Max(hi_, column), hi_);
    }
    const std::int64_t area = hn::GetLane(hn::SumOfLanes(di_, count));
    if (area == 0) return;
    area_ += area;
    y0_ = area_ == area ? y : y0_;
    y1_ = y;
  }

  MaskStats result() const {
    if (area_ == 0) return {0, 0, 0, -1, -1};
    return {area_, hn::GetLane(hn::MinOfLanes(di_, lo_)), y0_, hn::GetLane(hn::MaxOfLanes(di_, hi_)), y1_};
  }

 private:
  hn::ScalableTag<float> d_;
  hn::RebindToSigned<hn::ScalableTag<float>> di_;
  hn::Vec<hn::RebindToSigned<hn::ScalableTag<float>>> lo_, hi_;
  std::int64_t area_ = 0, y0_ = 0, y1_ = -1;
};

/// An upsampled logit row is held in the buffer of its parity: the two rows of a pair never share one.
class UpsampledRows {
 public:
  UpsampledRows(const UpsampleThresholdParams& p, const UpsampleBuffers& b, bool narrow)
      : p_(p), b_(b), narrow_(narrow) {}

  const float* get(std::int32_t y) {
    float* out = b_.rows[y & 1];
    if (held_[y & 1] == y) return out;
    held_[y & 1] = y;
    // Enough columns for the pairs with the row above and the row below.
    Span span = b_.active[y];
    if (y > 0) span = unite(span, b_.active[y - 1]);
    if (y + 1 < p_.unpadded_height) span = unite(span, b_.active[y + 1]);
    upsample_row(p_.logits + y * p_.logits_stride, p_.unpadded_width, b_, narrow_, span, out);
    return out;
  }

 private:
  const UpsampleThresholdParams& p_;
  const UpsampleBuffers& b_;
  bool narrow_;
  std::int32_t held_[2] = {-1, -1};
};

template <typename Label>
HWY_NOINLINE MaskStats upsample_typed(const UpsampleThresholdParams& p, const UpsampleBuffers& b) {
  const bool narrow = fill_columns(p, static_cast<std::int64_t>(hn::Lanes(hn::ScalableTag<float>())), b);
  const float bound = active_bound(p.threshold);
  for (std::int64_t y = 0; y < p.unpadded_height; ++y) {
    b.active[y] = active_columns(p.logits + y * p.logits_stride, p.unpadded_width, bound, b.first);
  }
  UpsampledRows rows(p, b, narrow);
  MaskScan scan;
  const float scale_y = static_cast<float>(p.unpadded_height) / static_cast<float>(p.height);
  for (std::int64_t y = 0; y < p.height; ++y) {
    const BilinearTap tap = bilinear_tap(y, scale_y, p.unpadded_height);
    const Span span = unite(b.active[tap.i0], b.active[tap.i1]);
    if (span.begin >= span.end) continue;
    const float* top = rows.get(tap.i0);
    const float* bottom = rows.get(tap.i1);
    scan.scan_row<Label>(top, bottom, tap.w0, tap.w1, span, p, y);
  }
  return scan.result();
}

}  // namespace HWY_NAMESPACE
}  // namespace medsam::kernels
HWY_AFTER_NAMESPACE();

#endif  // include guard
