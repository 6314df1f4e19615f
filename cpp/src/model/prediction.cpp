// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "model/prediction.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "base/edge.hpp"
#include "base/scratch.hpp"
#include "image/views.hpp"
#include "kernels/pixels/pixel_kernels.hpp"
#include "kernels/pixels/single/square_upsample.hpp"
#include "medsam/error.hpp"

namespace medsam {

std::shared_ptr<backends::HostTensor> Prediction::Impl::make_host() const {
  return std::make_shared<backends::HostTensor>(backends::Shape{prompts, masks, low_height, low_width});
}

void Prediction::Impl::take(std::size_t n, const Decoder::Answer& answer) {
  if (answer.logits->writes_masks()) {
    rows_.resize(static_cast<std::size_t>(prompts));
    rows_[n] = {answer.logits, answer.row};
  } else {
    if (!host_) host_ = make_host();
    const float* from = answer.logits->host() + answer.row * row_size();
    std::copy(from, from + row_size(), host_->mutable_host() + static_cast<std::int64_t>(n) * row_size());
  }
  std::copy(answer.iou, answer.iou + masks, iou.data() + static_cast<std::int64_t>(n) * masks);
}

LogitMap Prediction::Impl::map(std::int64_t n, std::int64_t m) const {
  if (rows_.empty()) return {host_, n * masks + m, low_height, low_width};
  const Row& row = rows_[static_cast<std::size_t>(n)];
  return {row.tensor, row.row * masks + m, low_height, low_width};
}

const float* Prediction::Impl::logits() const {
  std::call_once(gathered_, [&] {
    if (host_) return;
    auto all = make_host();
    float* to = all->mutable_host();
    for (const Row& row : rows_) {
      const float* from = row.tensor->host() + row.row * row_size();
      to = std::copy(from, from + row_size(), to);
    }
    host_ = std::move(all);
  });
  return host_->host();
}

Prediction::Prediction(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

std::int64_t Prediction::size() const { return impl_->prompts; }
std::int64_t Prediction::masks_per_prompt() const { return impl_->masks; }
std::int64_t Prediction::low_res_height() const { return impl_->low_height; }
std::int64_t Prediction::low_res_width() const { return impl_->low_width; }
std::int64_t Prediction::height() const { return impl_->geometry.height; }
std::int64_t Prediction::width() const { return impl_->geometry.width; }
const float* Prediction::low_res_logits() const {
  return at_edge("low_res_logits", [&] { return impl_->logits(); });
}
const float* Prediction::iou_predictions() const { return impl_->iou.data(); }

MaskStats Prediction::write_mask(std::int64_t n, std::int64_t m, const LabelView& out, std::uint32_t label) const {
  return at_edge("write_mask", [&] {
    if (n < 0 || n >= impl_->prompts || m < 0 || m >= impl_->masks) {
      throw InvalidArgument("mask index: got (" + std::to_string(n) + ", " + std::to_string(m) + "), expected below (" +
                            std::to_string(impl_->prompts) + ", " + std::to_string(impl_->masks) + ")");
    }
    check_labels(out, impl_->geometry.height, impl_->geometry.width, label);
    MaskStats stats = write_label(impl_->map(n, m), impl_->geometry, impl_->rules, out, label);
    stats.iou = impl_->iou.at(static_cast<std::size_t>(n * impl_->masks + m));
    return stats;
  });
}

namespace {

std::vector<float> sigmoids(const float* in, std::int64_t n) {
  std::vector<float> out(in, in + n);
  for (float& v : out) v = 1 / (1 + std::exp(-v));
  return out;
}

// The side of the square that the profile upsamples to first; 0 = none.
std::int64_t square_side(const ImageGeometry& geometry, MaskUpsample upsample) {
  if (upsample == MaskUpsample::logits_at_input_size) return geometry.input_size;
  return upsample == MaskUpsample::logits_at_prompt_frame ? std::llround(geometry.prompt_frame) : 0;
}

/// Where a map lies in its tensor, whose maps have `present` of it.
struct PlacedMap {
  std::int64_t offset;
  backends::MapPart present;
};

PlacedMap placed(const LogitMap& logits, const backends::MapPart& needed) {
  const backends::Shape& shape = logits.tensor->shape();
  if (shape.size() != 4 || logits.index < 0 || logits.index >= shape[0] * shape[1]) {
    throw BackendError("mask: got a map beyond the decoder's logits; report this");
  }
  if (shape[2] < needed.height || shape[3] < needed.width) {
    throw BackendError("mask: got " + std::to_string(shape[2]) + " x " + std::to_string(shape[3]) +
                       " logits, but the mask is made of " + std::to_string(needed.height) + " x " +
                       std::to_string(needed.width) + "; report this");
  }
  return {logits.index * shape[2] * shape[3], {shape[2], shape[3]}};
}

kernels::MaskStats run(const LogitMap& logits, std::int64_t square, MaskUpsample upsample,
                       kernels::UpsampleThresholdParams params, const backends::MapPart& needed) {
  const auto [offset, present] = placed(logits, needed);
  // A device's exp has other bits than the host's.
  if (logits.tensor->writes_masks() && upsample != MaskUpsample::probabilities) {
    if (present.height != logits.height || present.width != logits.width) {
      throw BackendError("mask: got a part of the logits on a device, expected whole maps; report this");
    }
    params.logits_stride = square != 0 ? square : logits.width;
    return logits.tensor->write_mask({offset, logits.height, logits.width, square}, params);
  }
  params.logits = logits.tensor->host() + offset;
  params.logits_stride = present.width;
  std::vector<float> values;  // what is upsampled, where it is not the logits themselves
  if (square != 0) {
    values.resize(static_cast<std::size_t>(params.unpadded_height * params.unpadded_width));
    kernels::upsample_square({params.logits, present.width, logits.height, logits.width, square, params.unpadded_height,
                              params.unpadded_width, values.data()});
    params.logits_stride = params.unpadded_width;
  } else if (upsample == MaskUpsample::probabilities) {
    values = sigmoids(params.logits, needed.height * present.width);
  }
  if (!values.empty()) params.logits = values.data();
  const kernels::KernelTable& table = kernels::table();
  const Scratch scratch(table.upsample_threshold_scratch(params));
  return table.upsample_threshold(params, scratch.data());
}

}  // namespace

static_assert(static_cast<int>(LabelType::u8) == static_cast<int>(kernels::LabelType::u8));
static_assert(static_cast<int>(LabelType::u16) == static_cast<int>(kernels::LabelType::u16));
static_assert(static_cast<int>(LabelType::u32) == static_cast<int>(kernels::LabelType::u32));

backends::MapPart looked_at(const ImageGeometry& geometry, const MaskRules& rules, std::int64_t low_height,
                            std::int64_t low_width) {
  const std::int64_t square = square_side(geometry, rules.upsample);
  if (square == 0) {
    const UnpaddedSize unpadded = unpadded_size(geometry, low_height, low_width);
    return {unpadded.height, unpadded.width};
  }
  const UnpaddedSize unpadded = unpadded_size(geometry, square, square);
  return {kernels::square_reach(unpadded.height, low_height, square),
          kernels::square_reach(unpadded.width, low_width, square)};
}

MaskStats write_label(const LogitMap& logits, const ImageGeometry& geometry, const MaskRules& rules,
                      const LabelView& out, std::uint32_t label) {
  // The view's own size is what is written; that it is the image's has been checked where the view came in.
  if (out.height != geometry.height || out.width != geometry.width) {
    throw BackendError("mask: got a view of " + std::to_string(out.height) + " x " + std::to_string(out.width) +
                       " for an image of " + std::to_string(geometry.height) + " x " + std::to_string(geometry.width) +
                       ", expected its size; report this");
  }
  const std::int64_t square = square_side(geometry, rules.upsample);
  const std::int64_t height = square != 0 ? square : logits.height, width = square != 0 ? square : logits.width;
  const UnpaddedSize unpadded = unpadded_size(geometry, height, width);
  kernels::UpsampleThresholdParams params{};
  params.unpadded_height = unpadded.height;
  params.unpadded_width = unpadded.width;
  params.height = out.height;
  params.width = out.width;
  // sigmoid(x) > 0.5 after upsampling, as the published scripts write it, is x > 0 but for 0 < x < 2e-7, where their
  // f32 sigmoid rounds to 0.5.
  params.threshold = rules.upsample == MaskUpsample::probabilities ? 0.5f : 0.0f;
  params.out = out.data;
  params.label_type = static_cast<kernels::LabelType>(out.type);
  params.out_row_stride = out.row_stride;
  params.label = label;
  const kernels::MaskStats stats =
      run(logits, square, rules.upsample, params, looked_at(geometry, rules, logits.height, logits.width));
  return {stats.area, stats.x0, stats.y0, stats.x1, stats.y1, std::numeric_limits<float>::quiet_NaN()};
}

}  // namespace medsam
