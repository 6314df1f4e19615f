// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "prediction.hpp"

#include <algorithm>
#include <cmath>
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

namespace {

// torch's interpolate(mode="bilinear", align_corners=False) of a (height, width) map to a square of `side`.
std::vector<float> upsampled(const float* in, std::int64_t height, std::int64_t width, std::int64_t side) {
  struct Tap {
    std::int64_t at, next;
    float weight;  // of next
  };
  const auto taps = [side](std::int64_t size) {
    std::vector<Tap> axis;
    const float scale = static_cast<float>(size) / static_cast<float>(side);
    for (std::int64_t i = 0; i < side; ++i) {
      const float source = std::max(0.0f, scale * (static_cast<float>(i) + 0.5f) - 0.5f);
      const auto at = std::min(static_cast<std::int64_t>(source), size - 1);
      axis.push_back({at, std::min(at + 1, size - 1), source - static_cast<float>(at)});
    }
    return axis;
  };
  const std::vector<Tap> columns = taps(width), rows = taps(height);
  std::vector<float> out(static_cast<std::size_t>(side * side));
  float* to = out.data();
  for (const Tap& row : rows) {
    const float* top = in + row.at * width;
    const float* bottom = in + row.next * width;
    for (const Tap& c : columns) {
      const float upper = (1 - c.weight) * top[c.at] + c.weight * top[c.next];
      const float lower = (1 - c.weight) * bottom[c.at] + c.weight * bottom[c.next];
      *to++ = (1 - row.weight) * upper + row.weight * lower;
    }
  }
  return out;
}

std::vector<float> sigmoids(const float* in, std::int64_t n) {
  std::vector<float> out(in, in + n);
  for (float& v : out) v = 1 / (1 + std::exp(-v));
  return out;
}

}  // namespace

MaskStats write_label(const float* logits, std::int64_t low_height, std::int64_t low_width,
                      const ImageGeometry& geometry, const MaskRules& rules, const LabelView& out,
                      std::uint32_t label) {
  static_assert(static_cast<int>(LabelType::u32) == static_cast<int>(kernels::LabelType::u32));
  std::vector<float> values;  // what is upsampled, where it is not the logits themselves
  if (rules.upsample == MaskUpsample::logits_at_input_size || rules.upsample == MaskUpsample::logits_at_prompt_frame) {
    const bool at_input = rules.upsample == MaskUpsample::logits_at_input_size;
    const std::int64_t side = at_input ? geometry.input_size : std::llround(geometry.prompt_frame);
    values = upsampled(logits, low_height, low_width, side);
    low_height = low_width = side;
  } else if (rules.upsample == MaskUpsample::probabilities) {
    values = sigmoids(logits, low_height * low_width);
  }
  const MaskCrop crop = mask_crop(geometry, low_height, low_width);
  kernels::UpsampleThresholdParams params{};
  params.logits = values.empty() ? logits : values.data();
  params.logits_stride = low_width;
  params.crop_height = crop.height;
  params.crop_width = crop.width;
  params.height = geometry.height;
  params.width = geometry.width;
  // sigmoid(x) > 0.5 after upsampling, as the published scripts write it, is x > 0 but for 0 < x < 2e-7, where their
  // f32 sigmoid rounds to 0.5.
  params.threshold = rules.upsample == MaskUpsample::probabilities ? 0.5f : 0.0f;
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
