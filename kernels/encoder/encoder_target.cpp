// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The targets of the encoder's kernels, all from the same source, Highway's fallback without vectors included: it is
// the oracle.
#include <array>

#include "kernels/base/target.hpp"
#include "kernels/encoder/attention_buffers.hpp"
#include "kernels/encoder/block_product.hpp"
#include "kernels/encoder/encoder_kernels.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/encoder/encoder_target.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "kernels/encoder/attention-inl.h"
#include "kernels/encoder/image_tokens-inl.h"
#include "kernels/encoder/linear_attention-inl.h"
#include "kernels/encoder/pointwise-inl.h"
#include "kernels/encoder/product-inl.h"
#include "kernels/encoder/projected_image-inl.h"
#include "kernels/encoder/token_attention-inl.h"
#include "kernels/encoder/winograd-inl.h"

HWY_BEFORE_NAMESPACE();
// NOLINTNEXTLINE(modernize-concat-nested-namespaces): HWY_NAMESPACE names one namespace per target
namespace medsam::kernels {
namespace HWY_NAMESPACE {

// There is one per target, so an anonymous namespace would hide what HWY_EXPORT names.
// NOLINTBEGIN(misc-use-internal-linkage)
template <class Way>
EncoderTarget target_of(const char* name, bool fast_bf16) {
  using Rounding = typename Way::Rounding;
  return {name,
          hwy::TargetName(HWY_TARGET),
          fast_bf16,
          HWY_NATIVE_FMA != 0 || HWY_TARGET == HWY_WASM,
          product<Way>,
          depthwise<Rounding>,
          normalize_rows<Rounding>,
          attention<Way>,
          round<Rounding>,
          add,
          expand_planes,
          relu,
          fold_heads<Rounding>,
          unfold_heads,
          soften_heads<Rounding>,
          soften_columns,
          mix<typename Way::Mix>,
          head_scores<typename Way::Mix>,
          mix_heads<typename Way::Mix>,
          pair_rows,
          merge,
          image_operands<Rounding>,
          normalize_image<Rounding>,
          mask_logits,
          linear_attention<Rounding>,
          blend,
          winograd_input<Rounding>,
          winograd_output<Rounding>};
}

/// Without bf16 instructions; with AVX-512's or Arm's dot products; with AMX's tiles too. Null where the target can
/// have none: newer releases of Highway have several with AVX-512, AVX3, AVX3_ZEN4 and AVX3_SPR, and each of them can.
std::array<const EncoderTarget*, 3> encoder_targets() {
  static const EncoderTarget kPlain =
      target_of<Bf16Way<Arithmetic, ScalarBlocks, WidenedMix>>(hwy::TargetName(HWY_TARGET), false);
#if MEDSAM_ENCODER_AVX512
  static const EncoderTarget kDots = target_of<Bf16Way<Native, DotBlocks, DotMix>>("AVX512_BF16", true);
  static const EncoderTarget kTiles = target_of<Bf16Way<Native, TileBlocks, DotMix>>("AMX", true);
  return {&kPlain, &kDots, &kTiles};
#elif MEDSAM_ENCODER_NEON
  static const EncoderTarget kDots = target_of<Bf16Way<Native, DotBlocks, WidenedMix>>("BFDOT", true);
  return {&kPlain, &kDots, nullptr};
#else
  return {&kPlain, nullptr, nullptr};
#endif
}
// NOLINTEND(misc-use-internal-linkage)

}  // namespace HWY_NAMESPACE
}  // namespace medsam::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace medsam::kernels {

HWY_EXPORT(encoder_targets);

namespace {

struct Bf16Instructions {
  bool dot_products = false, tiles = false;
};

Bf16Instructions bf16_instructions() {
  Bf16Instructions has;
#if defined(__x86_64__) || (defined(__aarch64__) && defined(__linux__))
  has.dot_products = has_dot_products();
#endif
#if defined(__x86_64__)
  // Tiles alone would not round.
  has.tiles = has.dot_products && has_tiles();
#endif
  return has;
}

}  // namespace

std::size_t attention_scratch(std::int64_t key_stride) noexcept {
  Carver carver(nullptr);
  take_attention_buffers<float>(key_stride, carver);
  return carver.used();
}

const std::vector<const EncoderTarget*>& available_encoder_targets() {
  static const std::vector<const EncoderTarget*> kTargets = [] {
    std::vector<const EncoderTarget*> targets;
    const Bf16Instructions has = bf16_instructions();
    for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
      hwy::ChosenTarget chosen;  // ours alone: Highway's global choice is left as it is
      chosen.Update(target);
      constexpr std::size_t kCount =
          sizeof(HWY_DISPATCH_TABLE(encoder_targets)) / sizeof(HWY_DISPATCH_TABLE(encoder_targets)[0]);
      const auto [plain, dots, tiles] = HWY_DISPATCH_TABLE(encoder_targets)[kCount == 1 ? 0 : chosen.GetIndex()]();
      // Highway lists the best target first.
      if (tiles != nullptr && has.tiles) targets.insert(targets.begin(), tiles);
      if (dots != nullptr && has.dot_products) targets.insert(targets.begin(), dots);
      targets.insert(targets.begin(), plain);
    }
    return targets;
  }();
  return kTargets;
}

const EncoderTarget& choose_encoder_target(const std::string& target,
                                           const std::vector<const EncoderTarget*>& targets) {
  const EncoderTarget* chosen = targets.front();
  for (const EncoderTarget* candidate : targets) {
    if (candidate->target == target) chosen = candidate;
  }
  return *chosen;
}

const EncoderTarget& encoder_target() { return choose_encoder_target(target(), available_encoder_targets()); }

}  // namespace medsam::kernels
#endif
