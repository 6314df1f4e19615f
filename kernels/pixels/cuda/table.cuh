// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The table over a launcher: a class made from a Stream, with launch(body, extent), which skips empty extents and goes
// quiet after a failure, and status(). cuda_kernels.cu has the GPU's, the tests one of loops.
#pragma once

#include "kernels/pixels/cuda/cuda_kernels.hpp"
#include "kernels/pixels/cuda/f16.cuh"
#include "kernels/pixels/cuda/resize_normalize.cuh"
#include "kernels/pixels/cuda/upsample_threshold.cuh"

namespace medsam::kernels::cuda {

inline const char* resize_normalize_refusal(const Pixels& image, const ResizeNormalizeParams& params) noexcept {
  switch (resize_path(image, params)) {
    case ResizePath::spline:
      return "interpolation on a CUDA device: got spline, expected area, linear or cubic; resize on the CPU "
             "(kernels::table()) and upload the result";
    case ResizePath::antialiased:
      return "interpolation on a CUDA device: got antialiased, expected area, linear or cubic; resize on the CPU "
             "(kernels::table()) and upload the result";
    case ResizePath::copy:
    case ResizePath::area:
    case ResizePath::area_integer:
    case ResizePath::linear:
    case ResizePath::area_enlarged:
    case ResizePath::cubic:
      break;
  }
  return nullptr;
}

inline std::size_t resize_normalize_workspace(const Pixels& image, const ResizeNormalizeParams& params) noexcept {
  Carver carver(nullptr);
  lay_out(image, params, carver);
  return carver.used();
}

template <class Launcher>
Status resize_normalize(const Pixels& image, const ResizeNormalizeParams& params, float* out, std::int32_t* finite,
                        void* workspace, Stream stream) noexcept {
  if (const char* why = resize_normalize_refusal(image, params)) return {Status::Code::unsupported, why};
  Launcher launcher(stream);
  queue_resize_normalize(launcher, image, params, out, finite, workspace);
  return launcher.status();
}

template <class Launcher>
Status upsample_square(const float* in, std::int64_t height, std::int64_t width, std::int64_t side, float* out,
                       Stream stream) noexcept {
  Launcher launcher(stream);
  launcher.launch(UpsampleSquare{in, height, width, side, out}, {side, side});
  return launcher.status();
}

inline std::size_t upsample_threshold_workspace(const UpsampleThresholdParams& params) noexcept {
  Carver carver(nullptr);
  take_taps(params, carver);
  return carver.used();
}

template <class Launcher>
Status upsample_threshold(const UpsampleThresholdParams& params, MaskCounts* counts, void* workspace,
                          Stream stream) noexcept {
  Launcher launcher(stream);
  queue_upsample_threshold(launcher, params, counts, workspace);
  return launcher.status();
}

template <class Launcher>
Status to_f16(const float* in, std::uint16_t* out, std::int64_t n, std::int32_t* fits, Stream stream) noexcept {
  Launcher launcher(stream);
  launcher.launch(SetFlag{fits, 1}, {1});
  launcher.launch(ToF16{in, out, n, fits}, {n});
  return launcher.status();
}

template <class Launcher>
Status from_f16(const std::uint16_t* in, float* out, std::int64_t n, Stream stream) noexcept {
  Launcher launcher(stream);
  launcher.launch(FromF16{in, out, n}, {n});
  return launcher.status();
}

template <class Launcher>
Status all_finite(const float* values, std::int64_t n, std::int32_t* finite, Stream stream) noexcept {
  Launcher launcher(stream);
  launcher.launch(SetFlag{finite, 1}, {1});
  launcher.launch(CheckFinite{{values, PixelType::f32, 1, n, 1, 0}, finite}, {n});
  return launcher.status();
}

template <class Launcher>
constexpr Table table_over(const char* name) noexcept {
  return {name,
          resize_normalize_refusal,
          resize_normalize_workspace,
          resize_normalize<Launcher>,
          upsample_square<Launcher>,
          upsample_threshold_workspace,
          upsample_threshold<Launcher>,
          to_f16<Launcher>,
          from_f16<Launcher>,
          all_finite<Launcher>};
}

}  // namespace medsam::kernels::cuda
