// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What a network is made of: passes, each of which goes once over the features of the whole image, in pieces whose
// working set stays in a core's own cache. passes.hpp has the table of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "backends/native/region.hpp"
#include "backends/native/thread_pool.hpp"
#include "kernels/base/carver.hpp"
#include "kernels/encoder/encoder_kernels.hpp"

namespace medsam::backends::native {

using kernels::Carver;
using kernels::EncoderTarget;

/// The kernels and the threads that a network runs on.
struct Machine {
  const EncoderTarget* target;
  ThreadPool* threads;
};

/// What a pass needs of memory.
struct Footprint {
  std::size_t weights = 0;   // bytes of its weights and tables, for as long as the network is loaded
  std::size_t features = 0;  // floats of each of the frame's two buffers, in which it reads and writes an image
  std::size_t scratch = 0;   // bytes for each thread
  std::size_t kept = 0;      // floats of the frame's third buffer, which passes that are apart share
};

/// Memory for one run at a time (network.hpp).
class Workspace;

/// What a run reads and writes: planes of an image of `side` pixels, and the embedding.
struct Image {
  const float* input;
  std::int64_t side;
  float* output;
};

/// Where a run stands: what a pass reads and writes.
class Frame {
 public:
  /// network_side: the side of the images that the passes were made for.
  Frame(const Machine& machine, Workspace& workspace, const Image& image, std::int64_t network_side);

  [[nodiscard]] const EncoderTarget& kernels() const { return *machine_.target; }
  [[nodiscard]] std::size_t threads() const { return machine_.threads->size(); }

  /// What the first pass of the network reads, and what the last one writes.
  [[nodiscard]] const float* input() const { return image_.input; }
  [[nodiscard]] float* output() const { return image_.output; }

  /// The side of this image's grid where the network's is `grid`. It differs for the small blank image of padding.hpp
  /// alone, which only passes with a Locality meet.
  [[nodiscard]] std::int64_t side(std::int64_t grid) const { return grid * image_.side / network_side_; }
  /// What a pass with a Locality has to write of its grid of `side`; a pass without writes all.
  [[nodiscard]] Region region(std::int64_t side) const { return region_.within(side); }
  void set_region(const Region& region) { region_ = region; }

  /// Features of the pass before, (height, width, channels), and the other buffer of the same size.
  [[nodiscard]] float* features() const { return features_; }
  [[nodiscard]] float* next() const { return next_; }
  /// What was written to next() becomes the features.
  void advance() { std::swap(features_, next_); }
  /// What a pass keeps for a later one: no other pass between them touches it.
  [[nodiscard]] float* kept() const { return kept_; }

  /// Calls body(piece, a Carver over a thread's scratch memory) for every piece, on all threads. `body` must
  /// not throw.
  template <class Body>
  void for_pieces(std::int64_t pieces, const Body& body) const {
    machine_.threads->run(static_cast<std::size_t>(pieces), [this, &body](std::size_t piece, std::size_t slot) {
      Carver carver(scratch(slot));
      body(static_cast<std::int64_t>(piece), carver);
    });
  }

 private:
  [[nodiscard]] std::byte* scratch(std::size_t slot) const;

  const Machine& machine_;
  Workspace& workspace_;
  Image image_;
  std::int64_t network_side_;
  Region region_ = Region::whole();
  float *features_, *next_, *kept_;
};

/// Immutable: several frames may be run at once.
class Pass {
 public:
  Pass() = default;
  Pass(const Pass&) = delete;
  Pass& operator=(const Pass&) = delete;
  virtual ~Pass() = default;
  [[nodiscard]] virtual Footprint footprint() const = 0;
  /// A pass that states it writes Frame::region alone, on grids of Frame::side.
  [[nodiscard]] virtual Locality locality() const { return {}; }
  /// Allocates nothing and checks nothing: whoever makes the pass has checked its sizes.
  virtual void run(Frame& frame) const = 0;
};

}  // namespace medsam::backends::native
