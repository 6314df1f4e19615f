// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "backends/native/network.hpp"

#include <algorithm>

namespace medsam::backends::native {

Footprint Network::footprint() const {
  Footprint most;
  for (const auto& pass : passes) {
    const Footprint own = pass->footprint();
    most.weights += own.weights;
    most.features = std::max(most.features, own.features);
    most.scratch = std::max(most.scratch, own.scratch);
    most.kept = std::max(most.kept, own.kept);
  }
  return most;
}

Workspace::Workspace(const Network& network, std::size_t threads) {
  const Footprint footprint = network.footprint();
  feature_count_ = aligned(footprint.features * sizeof(float)) / sizeof(float);
  scratch_bytes_ = aligned(footprint.scratch);
  scratch_.reserve(scratch_bytes_ * threads);
  features_.reserve((2 * feature_count_ + footprint.kept) * sizeof(float));
}

Frame::Frame(const Machine& machine, Workspace& workspace, const Image& image, std::int64_t network_side)
    : machine_(machine),
      workspace_(workspace),
      image_(image),
      network_side_(network_side),
      features_(workspace.features(0)),
      next_(workspace.features(1)),
      kept_(workspace.kept()) {}

std::byte* Frame::scratch(std::size_t slot) const { return workspace_.scratch(slot); }

void run(const Network& network, const Machine& machine, const float* input, Workspace& workspace, float* output) {
  const std::int64_t side = network.input_shape.back();
  Frame frame(machine, workspace, {input, side, output}, side);
  for (const auto& pass : network.passes) pass->run(frame);
}

}  // namespace medsam::backends::native
