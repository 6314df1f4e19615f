// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// One table a Highway target, all from the same source, Highway's fallback without vectors included: it is the oracle.
#include "kernels/encoder/attention_buffers.hpp"
#include "kernels/encoder/encoder_kernels.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/encoder/table.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "kernels/encoder/attention-inl.h"
#include "kernels/encoder/pointwise-inl.h"

HWY_BEFORE_NAMESPACE();
// NOLINTNEXTLINE(modernize-concat-nested-namespaces): HWY_NAMESPACE names one namespace a target
namespace medsam::kernels {
namespace HWY_NAMESPACE {

const EncoderKernels* encoder_table() {
  static const EncoderKernels kTable = {
      hwy::TargetName(HWY_TARGET), product, depthwise, normalize_rows, attention, round, add, expand_planes};
  return &kTable;
}

}  // namespace HWY_NAMESPACE
}  // namespace medsam::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace medsam::kernels {

HWY_EXPORT(encoder_table);

std::size_t attention_scratch(std::int64_t key_stride) noexcept {
  Scratch scratch(nullptr);
  take_attention_buffers(key_stride, scratch);
  return scratch.used();
}

std::vector<const EncoderKernels*> available_encoder_kernels() {
  std::vector<const EncoderKernels*> tables;
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::ChosenTarget chosen;  // ours alone: Highway's global choice is left as it is
    chosen.Update(target);
    const std::size_t count = sizeof(HWY_DISPATCH_TABLE(encoder_table)) / sizeof(HWY_DISPATCH_TABLE(encoder_table)[0]);
    const std::size_t index = count == 1 ? 0 : chosen.GetIndex();
    tables.insert(tables.begin(), HWY_DISPATCH_TABLE(encoder_table)[index]());  // Highway lists the best target first
  }
  return tables;
}

}  // namespace medsam::kernels
#endif
