// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The mask decoder's image tokens: what attention reads of them, and their logits.
#if defined(MEDSAM_ENCODER_IMAGE_TOKENS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MEDSAM_ENCODER_IMAGE_TOKENS_INL_H_
#undef MEDSAM_ENCODER_IMAGE_TOKENS_INL_H_
#else
#define MEDSAM_ENCODER_IMAGE_TOKENS_INL_H_
#endif

#include "hwy/highway.h"
#include "kernels/encoder/pointwise-inl.h"
#include "kernels/encoder/token_attention-inl.h"

HWY_BEFORE_NAMESPACE();
// NOLINTNEXTLINE(modernize-concat-nested-namespaces): HWY_NAMESPACE names one namespace per target
namespace medsam::kernels {
namespace HWY_NAMESPACE {

/// Rows of bf16 as mix reads them; rows even.
inline void pair_rows(const Bf16* in, std::int64_t rows, std::int64_t channels, Bf16* out) noexcept {
  const hn::RebindToUnsigned<Floats> d;
  const hn::Rebind<std::uint16_t, Floats> d16;
  for (std::int64_t row = 0; row < rows; row += 2) {
    const auto* first = reinterpret_cast<const std::uint16_t*>(in + row * channels);
    for (std::int64_t c = 0; c < channels; c += lanes()) {
      const auto low = hn::PromoteTo(d, hn::LoadU(d16, first + c));
      const auto high = hn::ShiftLeft<16>(hn::PromoteTo(d, hn::LoadU(d16, first + channels + c)));
      hn::StoreU(hn::Or(low, high), d, reinterpret_cast<std::uint32_t*>(out + row * channels + 2 * c));
    }
  }
}

/// One vector of channels of two rows of the image, as they are stored, to the operands.
template <class Rounding, Format kFormat>
HWY_INLINE void put_operands(const ImageOperandsParams& p, std::int64_t row, std::int64_t c, Vec first, Vec second) {
  store_as<Rounding, kFormat>(hn::Add(first, load_as<kFormat>(p.positions, row, c)), p.keys, row, c);
  store_as<Rounding, kFormat>(hn::Add(second, load_as<kFormat>(p.positions, row + 1, c)), p.keys, row + 1, c);
  if constexpr (kFormat == Format::bf16) {
    if (p.values != nullptr) store_pairs(first, second, p.values + row * p.keys.channels() + 2 * c);
  }
}

/// A prompt's image was pushed out of the second-level cache by those of the other prompts: three quarters of the time
/// went into waiting for it. 8 KiB are asked for before they are read, a line at a time: all at once is no faster.
constexpr std::int64_t kRowsAhead = 16;

template <class Rounding, Format kFormat>
HWY_INLINE void image_operands_as(const ImageOperandsParams& p) {
  const std::int64_t channels = p.keys.channels();
  for (std::int64_t row = 0; row < p.rows; row += 2) {
    const std::int64_t ahead = row + kRowsAhead < p.rows ? row + kRowsAhead : row;
    for (std::int64_t c = 0; c < channels; c += lanes()) {
      if constexpr (kFormat == Format::bf16) {
        __builtin_prefetch(p.image.template at<Bf16>(ahead, c));
        __builtin_prefetch(p.image.template at<Bf16>(ahead + 1, c));
      }
      put_operands<Rounding, kFormat>(p, row, c, load_as<kFormat>(p.image, row, c),
                                      load_as<kFormat>(p.image, row + 1, c));
    }
  }
}

template <class Rounding>
void image_operands(const ImageOperandsParams& p) noexcept {
  p.keys.format() == Format::bf16 ? image_operands_as<Rounding, Format::bf16>(p)
                                  : image_operands_as<Rounding, Format::f32>(p);
}

/// v as it is read again after it was stored in this format.
template <Format kFormat>
HWY_INLINE Vec as_stored(Vec v) {
  return kFormat == Format::bf16 ? hn::BitCast(Floats(), rounded_bits(v)) : v;
}

template <class Rounding, Format kFormat>
HWY_INLINE void normalize_image_as(const NormalizeRowsParams& p, const ImageOperandsParams& operands) {
  static_assert(kNormalizedTogether % 2 == 0);
  const auto put = [&p, &operands](std::int64_t row, std::int64_t c, auto& v) HWY_ATTR {
    constexpr std::int64_t kRows = static_cast<std::int64_t>(sizeof(v) / sizeof(v[0]));
    for (std::int64_t r = 0; r + 2 <= kRows; r += 2) {
      const auto first = as_stored<kFormat>(v[r]), second = as_stored<kFormat>(v[r + 1]);
      store_as<Rounding, kFormat>(first, p.out, row + r, c);
      store_as<Rounding, kFormat>(second, p.out, row + r + 1, c);
      put_operands<Rounding, kFormat>(operands, row + r, c, first, second);
    }
  };
  std::int64_t row = 0;
  for (; row + kNormalizedTogether <= p.rows; row += kNormalizedTogether) {
    normalize_group<kNormalizedTogether>(p, row, put);
  }
  for (; row < p.rows; row += 2) normalize_group<2>(p, row, put);
}

template <class Rounding>
void normalize_image(const NormalizeRowsParams& p, const ImageOperandsParams& operands) noexcept {
  p.out.format() == Format::bf16 ? normalize_image_as<Rounding, Format::bf16>(p, operands)
                                 : normalize_image_as<Rounding, Format::f32>(p, operands);
}

inline void mask_logits(const MaskLogitsParams& p) noexcept {
  const Floats d;
  constexpr std::int64_t kChildren = 4;
  for (std::int64_t mask = 0; mask < p.masks; ++mask) {
    const float* kernel = p.kernels + mask * kBlock;
    const float* child = p.children;
    for (std::int64_t token = 0; token < p.tokens; ++token) {
      float* out = p.out + mask * p.mask_stride + token * kChildren;
      for (std::int64_t i = 0; i < kChildren * kChildren; ++i, child += kBlock) {
        auto sum = hn::Mul(hn::LoadU(d, child), hn::LoadU(d, kernel));
        for (std::int64_t c = lanes(); c < kBlock; c += lanes()) {
          sum = hn::MulAdd(hn::LoadU(d, child + c), hn::LoadU(d, kernel + c), sum);
        }
        const std::int64_t y = i / 8 * 2 + i % 4 / 2, x = i / 4 % 2 * 2 + i % 2;
        out[y * p.row_stride + x] = hn::GetLane(hn::SumOfLanes(d, sum));
      }
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace medsam::kernels
HWY_AFTER_NAMESPACE();

#endif
