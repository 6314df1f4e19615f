// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// An image's boxes to labels: from the whole image, and small boxes from a window, too, where the profile has windows.
#include <algorithm>
#include <future>

#include "engine/engine_impl.hpp"
#include "image/overlap.hpp"
#include "image/zoom_windows.hpp"
#include "medsam/error.hpp"
#include "model/prediction.hpp"
#include "model/zoomed_mask.hpp"
#include "platform/cores.hpp"

namespace medsam {

namespace {

std::vector<PromptTokens> tokens_of(const std::vector<Box>& boxes, const std::vector<std::size_t>& which,
                                    const PromptContext& context) {
  std::vector<PromptTokens> tokens;
  tokens.reserve(which.size());
  for (const std::size_t i : which) {
    Prompt prompt;
    prompt.box = boxes[i];
    tokens.push_back(prompt_tokens(prompt, context, static_cast<std::int64_t>(i)));
  }
  return tokens;
}

ImageView part_of(const CheckedImage& image, const PixelBox& part) {
  ImageView view = *image;
  view.data = static_cast<const char*>(image->data) + part.y0 * image->row_stride +
              part.x0 * image->channels * sample_bytes(image->type);
  view.height = part.y1 - part.y0;
  view.width = part.x1 - part.x0;
  return view;
}

/// The boxes in the pixels of a window that holds them.
std::vector<Box> moved(const std::vector<Box>& boxes, const std::vector<std::size_t>& which, const PixelBox& part) {
  const auto x = static_cast<double>(part.x0), y = static_cast<double>(part.y0);
  std::vector<Box> inside;
  inside.reserve(which.size());
  for (const std::size_t i : which) {
    const Box& b = boxes[i];
    inside.push_back({b.x0 - x, b.y0 - y, b.x1 - x, b.y1 - y});
  }
  return inside;
}

}  // namespace

/// Windows are encoded one ahead of the one that is decoded, and boxes decoded a few at a time, so that memory grows
/// with neither.
class Engine::Impl::WindowMasks {
 public:
  WindowMasks(const Impl& engine, const Checked& whole, const CheckedImage& image, const std::vector<Box>& boxes,
              const SegmentOptions& options)
      : engine_(engine),
        whole_(whole),
        image_(image),
        boxes_(boxes),
        options_(options),
        mask_(static_cast<std::size_t>(image->height * image->width)) {}

  /// Paints the boxes' masks over labels of lower ranks. ranks[k + 1] is that of box k.
  void paint(const std::vector<ZoomWindow>& windows, const LabelView& out, const std::vector<std::uint32_t>& ranks,
             std::vector<MaskStats>& stats) {
    const auto ahead = [&](std::size_t w) {
      return std::async(platform::beside(), [&, w] { return encoded(windows[w].part); });
    };
    std::future<ImageEmbedding> next = ahead(0);
    for (std::size_t w = 0; w < windows.size(); ++w) {
      const ImageEmbedding embedding = next.get();
      if (options_.cancelled && options_.cancelled()) throw Cancelled("segment: cancelled by the caller");
      if (w + 1 < windows.size()) next = ahead(w + 1);
      const std::vector<std::size_t>& all = windows[w].boxes;
      for (std::size_t first = 0; first < all.size(); first += kAtOnce) {
        const std::size_t end = std::min(all.size(), first + kAtOnce);
        const auto begin = all.begin() + static_cast<std::ptrdiff_t>(first);
        paint_some({begin, all.begin() + static_cast<std::ptrdiff_t>(end)}, windows[w].part, *embedding.impl(), out,
                   ranks, stats);
      }
    }
  }

 private:
  static constexpr std::size_t kAtOnce = 32;  // boxes whose logits are held

  struct Answered {
    LogitMap logits;
    float iou = 0;
  };

  [[nodiscard]] ImageEmbedding encoded(const PixelBox& part) const {
    const Route route{whole_.expert, whole_.data.modality};
    return engine_.encode(CheckedImage(part_of(image_, part)), route, EmbeddingCache::Keep::evicting);
  }

  [[nodiscard]] std::vector<Answered> answers(const detail::EmbeddingData& data,
                                              const std::vector<PromptTokens>& tokens) const {
    Decoder& decoder = whole_.model->decoder();
    std::vector<Answered> answers(tokens.size());
    const auto part = looked_at(data.geometry, engine_.profile.mask, decoder.low_height(), decoder.low_width());
    decoder.decode(data, tokens, {{0}, part}, options_.cancelled, [&](std::size_t n, const Decoder::Answer& answer) {
      answers[n] = {{answer.logits, answer.row, decoder.low_height(), decoder.low_width()}, answer.iou[0]};
    });
    return answers;
  }

  void paint_some(const std::vector<std::size_t>& which, const PixelBox& part, const detail::EmbeddingData& window,
                  const LabelView& out, const std::vector<std::uint32_t>& ranks, std::vector<MaskStats>& stats) {
    const PromptRules& prompt = engine_.profile.prompt;
    Model& model = *whole_.model;
    const std::vector<Box> inside = moved(boxes_, which, part);
    std::vector<std::size_t> places(which.size());
    for (std::size_t i = 0; i < places.size(); ++i) places[i] = i;
    const auto far = answers(whole_.data, tokens_of(boxes_, which, model.context(whole_.data, prompt)));
    const auto near = answers(window, tokens_of(inside, places, model.context(window, prompt)));
    const LabelView mask{mask_.data(), LabelType::u8, out.height, out.width, out.width};
    for (std::size_t i = 0; i < which.size(); ++i) {
      MaskStats made =
          write_zoomed_mask({far[i].logits, whole_.data.geometry}, {near[i].logits, window.geometry}, part,
                            engine_.profile.mask, static_cast<float>(engine_.profile.zoom->logit_limit), mask);
      made.iou = (far[i].iou + near[i].iou) / 2;
      stats[which[i]] = made;
      paint_by_rank(mask, made, out, static_cast<std::uint32_t>(which[i] + 1), ranks);
    }
  }

  const Impl& engine_;
  const Checked& whole_;
  const CheckedImage& image_;
  const std::vector<Box>& boxes_;  // checked
  const SegmentOptions& options_;
  std::vector<std::uint8_t> mask_;  // (H, W), of whatever box is being written
};

std::vector<MaskStats> Engine::Impl::segment(const ImageEmbedding& embedding, const std::vector<Box>& boxes,
                                             const LabelView& out, const SegmentOptions& segment_options,
                                             const CheckedImage* image) const {
  check_process();
  if (!boxes.empty()) check_prompt(PromptKinds::box, false, "boxes");
  const Checked from = checked(embedding);
  const detail::EmbeddingData& data = from.data;
  Decoder& decoder = from.model->decoder();
  const PromptContext context = from.model->context(data, profile.prompt);
  check_labels(out, data.geometry.height, data.geometry.width, boxes.size());
  std::vector<Box> inside;
  std::vector<double> areas;
  for (const Box& box : boxes) {
    inside.push_back(
        checked_box(box, data.geometry.height, data.geometry.width, static_cast<std::int64_t>(inside.size())));
    areas.push_back((box.x1 - box.x0 + 1) * (box.y1 - box.y0 + 1));
  }
  const std::vector<std::size_t> order = paint_order(areas, profile.mask.overlap);
  std::vector<ZoomWindow> windows;
  if (profile.zoom) windows = zoom_windows(*profile.zoom, data.geometry.height, data.geometry.width, inside);
  const std::optional<ImageView> kept = data.image_view();
  if (!windows.empty() && image == nullptr && !kept) {
    throw ModelError("embedding: got one without its image's pixels, which profile \"" + profile.name +
                     "\" needs for boxes[" + std::to_string(windows.front().boxes.front()) +
                     "], a small one; encode the image again with this engine, or pass the image itself");
  }
  std::vector<bool> zoomed(boxes.size());
  for (const ZoomWindow& window : windows) {
    for (const std::size_t i : window.boxes) zoomed[i] = true;
  }
  std::vector<std::size_t> plain;
  std::copy_if(order.begin(), order.end(), std::back_inserter(plain), [&](std::size_t i) { return !zoomed[i]; });
  const std::vector<PromptTokens> tokens = tokens_of(boxes, plain, context);
  clear_labels(out);
  std::vector<MaskStats> stats(boxes.size());
  // All prompts are of one kind, so the decoder answers in order and what is painted last wins.
  const auto part = looked_at(data.geometry, profile.mask, decoder.low_height(), decoder.low_width());
  decoder.decode(data, tokens, {{0}, part}, segment_options.cancelled,
                 [&](std::size_t n, const Decoder::Answer& answer) {
                   const auto count = static_cast<std::uint32_t>(plain[n] + 1);
                   const std::uint32_t label = profile.mask.labels == LabelRule::modulo_256 ? count % 256 : count;
                   const LogitMap logits{answer.logits, answer.row, decoder.low_height(), decoder.low_width()};
                   stats[plain[n]] = write_label(logits, data.geometry, profile.mask, out, label);
                   stats[plain[n]].iou = answer.iou[0];
                 });
  if (windows.empty()) return stats;
  const CheckedImage shown = image != nullptr ? *image : CheckedImage(*kept);
  WindowMasks(*this, from, shown, inside, segment_options).paint(windows, out, ranks_of(order), stats);
  return stats;
}

}  // namespace medsam
