// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "prediction.hpp"

#include <string>

#include "edge.hpp"
#include "kernels/kernels.hpp"
#include "medsam/error.hpp"
#include "scratch.hpp"

namespace medsam {

Prediction::Prediction(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

std::int64_t Prediction::size() const { return impl_->prompts; }
std::int64_t Prediction::masks_per_prompt() const { return impl_->masks; }
std::int64_t Prediction::low_res_height() const { return impl_->low_height; }
std::int64_t Prediction::low_res_width() const { return impl_->low_width; }
std::int64_t Prediction::height() const { return impl_->geometry.height; }
std::int64_t Prediction::width() const { return impl_->geometry.width; }
const float* Prediction::low_res_logits() const { return impl_->logits.data(); }
const float* Prediction::iou_predictions() const { return impl_->iou.data(); }

MaskStats Prediction::write_mask(std::int64_t n, std::int64_t m, const LabelView& out, std::uint32_t label) const {
  return at_edge("write_mask", [&] {
    if (n < 0 || n >= impl_->prompts || m < 0 || m >= impl_->masks) {
      throw InvalidArgument("mask index: got (" + std::to_string(n) + ", " + std::to_string(m) + "), expected below (" +
                            std::to_string(impl_->prompts) + ", " + std::to_string(impl_->masks) + ")");
    }
    check_labels(out, impl_->geometry.height, impl_->geometry.width, label);
    const std::int64_t size = impl_->low_height * impl_->low_width;
    const float* logits = impl_->logits.data() + (n * impl_->masks + m) * size;
    return write_label(logits, impl_->low_height, impl_->low_width, impl_->geometry, impl_->rules, out, label);
  });
}

MaskStats write_label(const float* logits, std::int64_t low_height, std::int64_t low_width, const ImageGeometry& geometry,
                      const MaskRules&, const LabelView& out, std::uint32_t label) {
  static_assert(static_cast<int>(LabelType::u32) == static_cast<int>(kernels::LabelType::u32));
  const MaskCrop crop = mask_crop(geometry, low_height, low_width);
  kernels::UpsampleThresholdParams params{};
  params.logits = logits;
  params.logits_stride = low_width;
  params.crop_height = crop.height;
  params.crop_width = crop.width;
  params.height = geometry.height;
  params.width = geometry.width;
  // sigmoid(x) > 0.5, as the published scripts write it, is x > 0 but for 0 < x < 2e-7, where their f32 sigmoid rounds
  // to 0.5.
  params.threshold = 0;
  params.out = out.data;
  params.label_type = static_cast<kernels::LabelType>(out.type);
  params.out_row_stride = out.row_stride;
  params.label = label;
  const kernels::KernelTable& table = kernels::table();
  const Scratch scratch(table.upsample_threshold_scratch(params));
  const kernels::MaskStats stats = table.upsample_threshold(params, scratch.data());
  return {stats.area, stats.x0, stats.y0, stats.x1, stats.y1};
}

}  // namespace medsam
