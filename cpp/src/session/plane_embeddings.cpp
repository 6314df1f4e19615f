// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "session/plane_embeddings.hpp"

#include <algorithm>
#include <utility>

#include "engine/engine_impl.hpp"
#include "platform/cores.hpp"

namespace medsam::session {

PlaneEmbeddings::PlaneEmbeddings(std::shared_ptr<const Engine> engine, const Pixels& pixels, std::string modality,
                                 std::uint64_t bytes)
    : engine_(std::move(engine)),
      pixels_(pixels),
      options_{std::move(modality)},
      bytes_(bytes),
      cache_(bytes, [](const ImageEmbedding& embedding) { return embedding.bytes(); }) {}

std::uint64_t PlaneEmbeddings::key_of(const Plane& plane) {
  return static_cast<std::uint64_t>(plane.index) * 3 + static_cast<std::uint64_t>(plane.axis);
}

ImageEmbedding PlaneEmbeddings::get(const Plane& plane) {
  const std::uint64_t key = key_of(plane);
  {
    const std::lock_guard lock(mutex_);
    if (last_ && last_->first == key) return last_->second;
  }
  ImageEmbedding kept = cache_.get(key, [&] {
    const PlaneImage image = pixels_.image(plane);
    // Without a copy of the pixels, which the session has.
    ImageEmbedding embedding = engine_->impl().encode(image.view, options_.modality);
    bytes_each_ = embedding.bytes();
    return embedding;
  });
  if (kept.bytes() > bytes_) {
    const std::lock_guard lock(mutex_);
    last_ = {key, kept};
  }
  return kept;
}

bool PlaneEmbeddings::holds(const Plane& plane) const {
  const std::uint64_t key = key_of(plane);
  if (cache_.holds(key)) return true;
  const std::lock_guard lock(mutex_);
  return last_ && last_->first == key;
}

std::int64_t PlaneEmbeddings::capacity() const {
  const std::uint64_t each = bytes_each_;
  return each == 0 ? 1 : static_cast<std::int64_t>(bytes_ / each);
}

std::int64_t PlaneEmbeddings::held(int axis) const {
  std::vector<std::uint64_t> keys = cache_.keys();
  keys.erase(std::remove_if(keys.begin(), keys.end(), [&](std::uint64_t key) { return !cache_.holds(key); }),
             keys.end());  // those that are being made
  {
    const std::lock_guard lock(mutex_);
    if (last_) keys.push_back(last_->first);
  }
  return std::count_if(keys.begin(), keys.end(),
                       [&](std::uint64_t key) { return key % 3 == static_cast<std::uint64_t>(axis); });
}

PromptsInFlight& PlaneEmbeddings::prompts_in_flight() const { return engine_->impl().prompts_in_flight; }

EncodeAhead::EncodeAhead(PlaneEmbeddings& embeddings, const Grid& grid, bool enabled)
    : embeddings_(embeddings), grid_(grid), prompts_(embeddings.prompts_in_flight()), focus_{0, grid.depth() / 2} {
  if (enabled && platform::starts_threads()) thread_ = std::thread([this] { run(); });
}

EncodeAhead::~EncodeAhead() {
  {
    const std::lock_guard lock(prompts_.mutex);
    stop_ = true;
  }
  prompts_.changed.notify_all();
  if (thread_.joinable()) thread_.join();
}

void EncodeAhead::focus(const Plane& plane) {
  {
    const std::lock_guard lock(prompts_.mutex);
    focus_ = plane;
    next_ = 0;
  }
  prompts_.changed.notify_all();
}

void EncodeAhead::count_busy(int step) {
  {
    const std::lock_guard lock(prompts_.mutex);
    prompts_.count += step;
  }
  prompts_.changed.notify_all();
}

EncodingProgress EncodeAhead::progress() const {
  int axis = 0;
  EncodingProgress progress;
  {
    const std::lock_guard lock(prompts_.mutex);
    axis = focus_.axis;
    progress.idle = !thread_.joinable() || (!working_ && !plane_at(next_));
  }
  progress.encoded = embeddings_.held(axis);
  progress.total = grid_.shape[axis];
  return progress;
}

std::optional<Plane> EncodeAhead::plane_at(std::int64_t n) const {
  if (n >= std::max<std::int64_t>(1, embeddings_.capacity())) return std::nullopt;
  const std::int64_t count = grid_.shape[focus_.axis];
  if (n >= count) return std::nullopt;
  // Both ways while both ways have planes, then the one that is left.
  const std::int64_t below = focus_.index, above = count - 1 - focus_.index, pairs = std::min(below, above);
  const std::int64_t step = n <= 2 * pairs ? (n + 1) / 2 : n - pairs;
  const bool up = n <= 2 * pairs ? n % 2 == 1 : above > below;
  return Plane{focus_.axis, focus_.index + (up ? step : -step)};
}

void EncodeAhead::run() {
  std::unique_lock lock(prompts_.mutex);
  while (true) {
    prompts_.changed.wait(lock, [&] { return stop_ || (prompts_.count == 0 && plane_at(next_)); });
    if (stop_) return;
    const Plane plane = *plane_at(next_);
    const Plane focus = focus_;
    ++next_;
    working_ = true;
    lock.unlock();
    bool failed = false;
    try {
      static_cast<void>(embeddings_.get(plane));
    } catch (...) {  // whoever asks for this plane gets the error
      failed = true;
    }
    lock.lock();
    working_ = false;
    const bool moved = focus.axis != focus_.axis || focus.index != focus_.index;
    if (failed && !moved) next_ = grid_.shape[focus_.axis];
  }
}

}  // namespace medsam::session
