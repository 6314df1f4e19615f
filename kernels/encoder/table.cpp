// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// One table a Highway target, all from the same source, Highway's fallback without vectors included: it is the oracle.
#include <algorithm>
#include <array>
#include <string>

#include "kernels/encoder/attention_buffers.hpp"
#include "kernels/encoder/encoder_kernels.hpp"
#include "kernels/pixels/pixel_kernels.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/encoder/table.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "kernels/encoder/attention-inl.h"
#include "kernels/encoder/pointwise-inl.h"
#include "kernels/encoder/product-inl.h"

HWY_BEFORE_NAMESPACE();
// NOLINTNEXTLINE(modernize-concat-nested-namespaces): HWY_NAMESPACE names one namespace a target
namespace medsam::kernels {
namespace HWY_NAMESPACE {

// One a target, so an anonymous namespace would hide what HWY_EXPORT names.
// NOLINTBEGIN(misc-use-internal-linkage)
template <class Rounding>
EncoderKernels table_of(const char* name, bool native_bf16) {
  return {name,
          hwy::TargetName(HWY_TARGET),
          native_bf16,
          HWY_NATIVE_FMA != 0,
          product<Rounding>,
          depthwise<Rounding>,
          normalize_rows<Rounding>,
          attention<Rounding>,
          attention_exact,
          round<Rounding>,
          add,
          expand_planes};
}

/// The target's own, and the one that rounds to bf16 by the processor's instruction, where there can be one.
std::array<const EncoderKernels*, 2> encoder_tables() {
  static const EncoderKernels kArithmetic = table_of<Arithmetic>(hwy::TargetName(HWY_TARGET), false);
#if MEDSAM_ENCODER_AVX512
  // Newer releases of Highway have several targets with AVX-512: AVX3, AVX3_ZEN4, AVX3_SPR.
  static const std::string kName = std::string(hwy::TargetName(HWY_TARGET)) + "_BF16";
  static const EncoderKernels kNative = table_of<Native>(kName.c_str(), true);
  return {&kArithmetic, &kNative};
#else
  return {&kArithmetic, nullptr};
#endif
}
// NOLINTEND(misc-use-internal-linkage)

}  // namespace HWY_NAMESPACE
}  // namespace medsam::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace medsam::kernels {

HWY_EXPORT(encoder_tables);

namespace {

// Whether the processor has AVX-512's bf16 instructions; AMX alone would not round.
bool rounds_natively() {
  const std::vector<const BlockProduct*> products = available_products();
  return std::any_of(products.begin(), products.end(), [](const BlockProduct* p) { return p->dot_products; });
}

}  // namespace

std::size_t attention_scratch(std::int64_t key_stride) noexcept {
  Carver carver(nullptr);
  take_attention_buffers<float>(key_stride, carver);
  return carver.used();
}

std::vector<const EncoderKernels*> available_encoder_kernels() {
  std::vector<const EncoderKernels*> tables;
  const bool native = rounds_natively();
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::ChosenTarget chosen;  // ours alone: Highway's global choice is left as it is
    chosen.Update(target);
    constexpr std::size_t kCount =
        sizeof(HWY_DISPATCH_TABLE(encoder_tables)) / sizeof(HWY_DISPATCH_TABLE(encoder_tables)[0]);
    const auto [plain, rounding] = HWY_DISPATCH_TABLE(encoder_tables)[kCount == 1 ? 0 : chosen.GetIndex()]();
    if (rounding != nullptr && native) tables.insert(tables.begin(), rounding);
    tables.insert(tables.begin(), plain);  // Highway lists the best target first
  }
  return tables;
}

EncoderTarget choose_encoder_target(const std::string& target, const std::vector<const EncoderKernels*>& kernels,
                                    const std::vector<const BlockProduct*>& products) {
  const EncoderKernels *plain = nullptr, *native = nullptr;
  for (const EncoderKernels* candidate : kernels) {
    if (candidate->target == target) (candidate->native_bf16 ? native : plain) = candidate;
  }
  if (native != nullptr && products.back()->native) return {native, products.back(), true};
  return {plain != nullptr ? plain : kernels.front(), products.front(), false};
}

EncoderTarget encoder_target() {
  return choose_encoder_target(table().name, available_encoder_kernels(), available_products());
}

}  // namespace medsam::kernels
#endif
