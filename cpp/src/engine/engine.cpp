// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The public face: every call goes through at_edge, which lets nothing but our own errors out.
#include "medsam/engine.hpp"

#include <stdexcept>

#include "base/edge.hpp"
#include "engine/engine_impl.hpp"
#include "image/geometry.hpp"
#include "image/views.hpp"
#include "kernels/pixels/pixel_kernels.hpp"
#include "medsam/version.hpp"

namespace medsam {

Engine::Engine(const std::string& bundle, EngineOptions options)
    : impl_(at_edge("loading the bundle",
                    [&] { return std::make_unique<Impl>(bundle, with_guarded_log(std::move(options))); })) {}

Engine::~Engine() {
  // In a forked child the backend's threads do not exist and joining them would hang: leave the memory to the kernel.
  if (impl_ && platform::process_id() != impl_->process) {
    const Impl* left_alone = impl_.release();
    static_cast<void>(left_alone);
  }
}

Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;

const EngineInfo& Engine::info() const { return impl_->info; }

ImageEmbedding Engine::encode(const ImageView& image, const EncodeOptions& options) const {
  return at_edge("encode", [&] {
    impl_->check_process();
    return impl_->encode_with_pixels(image, options.modality);
  });
}

CacheStats Engine::cache_stats() const {
  return at_edge("cache_stats", [&] {
    impl_->check_process();  // another thread may have held the cache's lock when the process forked
    CacheStats stats = impl_->embeddings.stats();
    stats.store_hits = impl_->store_hits.load();
    return stats;
  });
}

void Engine::clear_cache() const {
  at_edge("clear_cache", [&] {
    impl_->check_process();
    impl_->embeddings.clear();
  });
}

Prediction Engine::predict(const ImageEmbedding& embedding, const std::vector<Prompt>& prompts,
                           const PredictOptions& options) const {
  return at_edge("predict", [&] { return impl_->predict(embedding, prompts, options); });
}

void Engine::check_prompt(PromptKinds kinds, const PredictOptions& options) const {
  at_edge("check_prompt", [&] {
    constexpr auto kAll = PromptKinds::box | PromptKinds::points | PromptKinds::mask | PromptKinds::scribble;
    if ((kinds | kAll) != kAll) throw InvalidArgument("prompt: got unknown kinds, expected those of PromptKinds");
    impl_->check_prompt(kinds, options.allow_untrained, "prompt");
  });
}

std::vector<MaskStats> Engine::segment(const ImageView& image, const std::vector<Box>& boxes, const LabelView& out,
                                       const SegmentOptions& options) const {
  return at_edge("segment", [&] {
    impl_->check_process();
    if (!boxes.empty()) impl_->check_prompt(PromptKinds::box, false, "boxes");
    const CheckedImage checked(image);
    check_labels(out, image.height, image.width, boxes.size());  // before the expensive part
    if (options.cancelled && options.cancelled()) throw Cancelled("segment: cancelled by the caller");
    for (std::size_t i = 0; i < boxes.size(); ++i) {
      static_cast<void>(checked_box(boxes[i], image.height, image.width, static_cast<std::int64_t>(i)));
    }
    return impl_->segment(impl_->encode(checked, options.modality), boxes, out, options, &checked);
  });
}

std::vector<MaskStats> Engine::segment(const ImageEmbedding& embedding, const std::vector<Box>& boxes,
                                       const LabelView& out, const SegmentOptions& options) const {
  return at_edge("segment", [&] { return impl_->segment(embedding, boxes, out, options); });
}

std::vector<VolumeStats> Engine::segment_volume(const VolumeView& volume, const std::vector<Box3D>& boxes,
                                                const LabelVolumeView& out, const VolumeOptions& options) const {
  return at_edge("segment_volume", [&] { return impl_->segment_volume(volume, boxes, out, options); });
}

std::string simd_target() {
  try {
    return kernels::table().name;
  } catch (const std::invalid_argument& e) {
    throw Unsupported(e.what());
  }
}

const char* version() noexcept { return MEDSAM_ENGINE_VERSION; }

}  // namespace medsam
