// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Which rows of an image of zeros are the same after a pass, and which smaller image of zeros has them all
// (padding.hpp).
#pragma once

#include <cstdint>
#include <vector>

#include "backends/native/network.hpp"

namespace medsam::backends::native {

struct BlankPlan {
  struct Pass {
    std::int64_t side, channels;        // of what it writes of the smaller image
    std::vector<std::int64_t> rows;     // one of each kind, in the smaller image
    std::vector<std::int32_t> kind_of;  // of each row of the network's own image: its place in `rows`
  };
  std::int64_t side = 0;  // of the smaller image
  std::vector<Pass> passes;
};

/// For as many of the first passes as a smaller image serves; none where there is no such image.
BlankPlan plan_blank(const Network& network);

}  // namespace medsam::backends::native
