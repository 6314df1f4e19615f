// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// One table a Highway target, all from the same source. Highway's fallback without vectors (EMU128, SCALAR) is left
// out: there the oracle serves.
#include "kernels/pixels/simd/table.hpp"

#include "kernels/pixels/pixel_kernels.hpp"
#include "kernels/pixels/reference/reference.hpp"
#include "kernels/pixels/single/antialiased_resize.hpp"
#include "kernels/pixels/single/spline_resize.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/pixels/simd/table.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

#if HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128
#include "kernels/pixels/simd/block_sums-inl.h"
#include "kernels/pixels/simd/f16-inl.h"
#include "kernels/pixels/simd/normalize-inl.h"
#include "kernels/pixels/simd/resize_area-inl.h"
#include "kernels/pixels/simd/resize_area_integer-inl.h"
#include "kernels/pixels/simd/resize_taps-inl.h"
#include "kernels/pixels/simd/samples-inl.h"
#include "kernels/pixels/simd/upsample_threshold-inl.h"
#endif

HWY_BEFORE_NAMESPACE();
// NOLINTNEXTLINE(modernize-concat-nested-namespaces): HWY_NAMESPACE names one namespace per target
namespace medsam::kernels {
namespace HWY_NAMESPACE {

#if HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_EMU128

// NOLINTNEXTLINE(misc-use-internal-linkage): Highway's dispatch table takes its address
SimdTable target_table() { return {nullptr, false}; }

#else

/// Everything that resize_normalize carves out of its scratch memory.
struct ResizeLayout {
  ResizePlan plan;
  AreaBuffers area;
  BlockBuffers block;
  TapBuffers taps;
  float* row;          // one resized row as floats
  std::byte* resized;  // the resized image, in its pixel type
};

ResizeLayout lay_out(const Pixels& image, const ResizeNormalizeParams& params, Carver& carver) {
  ResizeLayout layout{};
  layout.plan = make_resize_plan(image, params, carver);
  const auto samples = static_cast<std::size_t>(params.new_width * image.channels);
  layout.row = carver.take<float>(samples);
  switch (layout.plan.path) {
    case ResizePath::copy:
    case ResizePath::spline:
    case ResizePath::antialiased:
      return layout;
    case ResizePath::area:
      layout.area = take_area_buffers(image, params.new_width, carver);
      break;
    case ResizePath::area_integer:
      layout.block = take_block_buffers(image, params.new_width, carver);
      break;
    case ResizePath::linear:
    case ResizePath::area_enlarged:
    case ResizePath::cubic:
      layout.taps = take_tap_buffers(image, params.new_width, carver);
      break;
  }
  const auto rows = static_cast<std::size_t>(params.new_height);
  layout.resized = carver.take<std::byte>(rows * samples * pixel_bytes(image.type));
  return layout;
}

template <typename T>
bool resize_normalize_typed(const Pixels& image, const ResizeNormalizeParams& params, const ResizeLayout& layout,
                            float* out) {
  const std::int64_t height = params.new_height, width = params.new_width;
  T* resized = reinterpret_cast<T*>(layout.resized);
  switch (layout.plan.path) {
    case ResizePath::copy:
    case ResizePath::spline:  // resized before
    case ResizePath::antialiased:
      return normalize_pad<T>(image, params, layout.row, out);
    case ResizePath::area:
      resize_area<T>(image, layout.plan, layout.area, height, width, resized);
      break;
    case ResizePath::area_integer:
      resize_area_integer<T>(image, layout.plan, layout.block, height, width, resized);
      break;
    case ResizePath::linear:
    case ResizePath::area_enlarged:
      resize_taps<T, 2>(image, layout.plan, layout.taps, height, width, resized);
      break;
    case ResizePath::cubic:
      resize_taps<T, 4>(image, layout.plan, layout.taps, height, width, resized);
      break;
  }
  const std::int64_t stride = width * image.channels * static_cast<std::int64_t>(sizeof(T));
  return normalize_pad<T>({resized, image.type, height, width, image.channels, stride}, params, layout.row, out);
}

/// What the rest starts from: the resized image where one implementation serves every table, else the image itself.
Pixels resized_before(const Pixels& image, ResizePath path, const ResizeNormalizeParams& params, Carver& carver) {
  if (path == ResizePath::spline) return spline_resized(image, params, carver);
  if (path == ResizePath::antialiased) return antialiased_resized(image, params, carver);
  return image;
}

std::size_t resize_normalize_scratch(const Pixels& image, const ResizeNormalizeParams& params) noexcept {
  Carver carver(nullptr);
  const ResizeLayout layout = lay_out(image, params, carver);
  resized_before(image, layout.plan.path, params, carver);
  return carver.used();
}

bool resize_normalize(const Pixels& source, const ResizeNormalizeParams& params, float* out, void* memory) noexcept {
  if (!all_finite(source)) return false;
  Carver carver(memory);
  const ResizeLayout layout = lay_out(source, params, carver);
  const Pixels image = resized_before(source, layout.plan.path, params, carver);
  switch (image.type) {
    case PixelType::u8:
      return resize_normalize_typed<std::uint8_t>(image, params, layout, out);
    case PixelType::u16:
      return resize_normalize_typed<std::uint16_t>(image, params, layout, out);
    case PixelType::i16:
      return resize_normalize_typed<std::int16_t>(image, params, layout, out);
    case PixelType::f32:
      return resize_normalize_typed<float>(image, params, layout, out);
  }
  return false;
}

std::size_t upsample_threshold_scratch(const UpsampleThresholdParams& params) noexcept {
  Carver carver(nullptr);
  take_upsample_buffers(params, carver);
  return carver.used();
}

MaskStats upsample_threshold(const UpsampleThresholdParams& params, void* memory) noexcept {
  Carver carver(memory);
  const UpsampleBuffers buffers = take_upsample_buffers(params, carver);
  switch (params.label_type) {
    case LabelType::u8:
      return upsample_typed<std::uint8_t>(params, buffers);
    case LabelType::u16:
      return upsample_typed<std::uint16_t>(params, buffers);
    case LabelType::u32:
      return upsample_typed<std::uint32_t>(params, buffers);
  }
  return {0, 0, 0, -1, -1};
}

SimdTable target_table() {
  static const KernelTable kTable = {hwy::TargetName(HWY_TARGET),
                                     resize_normalize_scratch,
                                     resize_normalize,
                                     upsample_threshold_scratch,
                                     upsample_threshold,
                                     to_f16,
                                     from_f16,
                                     block_sums};
  return {&kTable, kNativeF16};
}

#endif

}  // namespace HWY_NAMESPACE
}  // namespace medsam::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace medsam::kernels {

HWY_EXPORT(target_table);

std::vector<SimdTable> simd_tables() {
  std::vector<SimdTable> tables;
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::ChosenTarget chosen;  // ours alone: Highway's global choice is left as it is
    chosen.Update(target);
    const std::size_t count = sizeof(HWY_DISPATCH_TABLE(target_table)) / sizeof(HWY_DISPATCH_TABLE(target_table)[0]);
    const std::size_t index = count == 1 ? 0 : chosen.GetIndex();
    const SimdTable found = HWY_DISPATCH_TABLE(target_table)[index]();
    if (found.table != nullptr) tables.insert(tables.begin(), found);  // Highway lists the best target first
  }
  return tables;
}

}  // namespace medsam::kernels
#endif
