// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The embeddings of a session's planes: kept within a budget, and made ahead on a thread of their own.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "base/once_cache.hpp"
#include "engine/prompts_in_flight.hpp"
#include "medsam/session.hpp"
#include "session/plane_image.hpp"

namespace medsam::session {

/// Thread-safe. A plane that two threads ask for is encoded once.
class PlaneEmbeddings {
 public:
  /// `pixels` must outlive it.
  PlaneEmbeddings(std::shared_ptr<const Engine> engine, const Pixels& pixels, std::string modality,
                  std::uint64_t bytes);

  /// The embedding of the plane as it is encoded. Raises what Engine::encode raises.
  ImageEmbedding get(const Plane& plane);
  /// Whether `get` would not have to encode the plane.
  [[nodiscard]] bool holds(const Plane& plane) const;
  /// The most planes that the budget holds, known after the first one.
  [[nodiscard]] std::int64_t capacity() const;
  /// How many planes of an axis are held.
  [[nodiscard]] std::int64_t held(int axis) const;
  /// Of the engine, and so of other sessions, too.
  [[nodiscard]] PromptsInFlight& prompts_in_flight() const;

 private:
  struct Hash {
    std::size_t operator()(std::uint64_t key) const { return std::hash<std::uint64_t>()(key); }
  };
  static std::uint64_t key_of(const Plane& plane);

  std::shared_ptr<const Engine> engine_;
  const Pixels& pixels_;
  EncodeOptions options_;
  std::uint64_t bytes_;
  OnceCache<std::uint64_t, ImageEmbedding, Hash> cache_;
  std::atomic<std::uint64_t> bytes_each_{0};
  mutable std::mutex mutex_;
  /// The last one, where the cache's budget is less than one: the calls about a plane ask for it again and again.
  std::optional<std::pair<std::uint64_t, ImageEmbedding>> last_;
};

/// Encodes planes of one axis, the nearest to a focus first, while no session of the engine answers a prompt. An encode
/// that fails ends it until the focus moves: whoever asks for that plane then gets the error.
class EncodeAhead {
 public:
  EncodeAhead(PlaneEmbeddings& embeddings, const Grid& grid, bool enabled);
  ~EncodeAhead();
  EncodeAhead(const EncodeAhead&) = delete;
  EncodeAhead& operator=(const EncodeAhead&) = delete;

  /// While one lives, no further plane is begun, in any session of the engine.
  class Busy {
   public:
    explicit Busy(EncodeAhead& ahead) : ahead_(ahead) { ahead_.count_busy(1); }
    ~Busy() { ahead_.count_busy(-1); }
    Busy(const Busy&) = delete;
    Busy& operator=(const Busy&) = delete;

   private:
    EncodeAhead& ahead_;
  };

  void focus(const Plane& plane);
  [[nodiscard]] EncodingProgress progress() const;

 private:
  void count_busy(int step);
  void run();
  /// The plane at place `n` of those round the focus: it, the one above, the one below, two above, ...
  [[nodiscard]] std::optional<Plane> plane_at(std::int64_t n) const;

  PlaneEmbeddings& embeddings_;
  const Grid grid_;
  PromptsInFlight& prompts_;  // its mutex guards what follows
  Plane focus_;
  std::int64_t next_ = 0;  // place round the focus
  bool working_ = false, stop_ = false;
  std::thread thread_;  // last: runs on what is above
};

}  // namespace medsam::session
