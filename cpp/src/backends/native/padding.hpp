// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Images that do not fill their square. Beside the image lies padding, or the black of a scan, and there a network's
// first passes write what they write of an image of zeros, but for what they read of the image beside it. That is
// computed once, and of an image only what may differ from it (region.hpp). The embedding is the same to the bit,
// because no kernel's result depends on what else a call computes (encoder_kernels.hpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include "backends/native/network.hpp"

namespace medsam::backends::native {

/// The smallest part of a square image outside of which all planes hold +0 in every bit; empty where all of it does.
/// planes: (3, side, side).
Region content_of(const float* planes, std::int64_t side);

/// What a pass writes of an image of zeros. Rows that read the same are the same, and so are columns, so only one of
/// each kind is kept.
struct BlankFeatures {
  std::int64_t channels = 0, kinds = 0;
  std::vector<std::int32_t> kind_of;  // (side): of a row, and of a column
  std::vector<float> tokens;          // (kinds, kinds, channels)

  [[nodiscard]] const float* token(std::int64_t y, std::int64_t x) const {
    const auto at = [this](std::int64_t i) { return static_cast<std::int64_t>(kind_of[static_cast<std::size_t>(i)]); };
    return tokens.data() + (at(y) * kinds + at(x)) * channels;
  }
};

/// An image of zeros in a network's first passes, computed by the first image that needs it, of a smaller image of
/// zeros that has all kinds of rows. LiteMedSAM's is one of 74 pixels instead of 256, for its first 8 passes: a
/// twentieth of an encode, and 1.3 MB. A network of any file keeps 8 MiB at most. Thread-safe.
class Blank {
 public:
  /// Both must outlive this.
  Blank(const Network& network, const Machine& machine) : network_(network), machine_(machine) {}

  /// Of the first passes, as many as it is worth while for; none where a pass without a Locality comes first, and of a
  /// network all of whose rows differ. `workspace` is used, if at all, for this call only. std::bad_alloc.
  [[nodiscard]] const std::vector<BlankFeatures>& passes(Workspace& workspace) const;

 private:
  const Network& network_;
  const Machine& machine_;
  mutable std::mutex mutex_;
  mutable bool made_ = false;
  mutable std::vector<BlankFeatures> passes_;
};

/// As run of network.hpp, and the same to the bit. It allocates for the first image that is not all content.
/// std::bad_alloc.
void run(const Network& network, const Machine& machine, const Blank& blank, const float* input, Workspace& workspace,
         float* output);

}  // namespace medsam::backends::native
