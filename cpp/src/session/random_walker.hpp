// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// L. Grady, Multilabel Random Walker Image Segmentation Using Prior Models, CVPR 2005: the probability that a walk from
// a pixel, which crosses edges of the image reluctantly, meets the object first, drawn towards what was known before.
#pragma once

#include <cstdint>
#include <vector>

namespace medsam::session {

/// (rows, columns) pixels, dense, of an image of `channels` numbers each.
struct WalkerProblem {
  std::int64_t rows = 0, columns = 0;
  int channels = 1;
  std::vector<float> image;
  std::vector<double> target;       // 0 to 1; of a fixed pixel, its value
  std::vector<double> pull;         // towards the target, >= 0
  std::vector<std::uint8_t> fixed;  // 1 where the value is given
};

/// The x that minimizes sum w (x_i - x_j)^2 over neighbors + sum pull (x_i - target_i)^2, with x = target where fixed.
/// w = exp(-d / (m + 1e-3)) + 1e-3, with d the mean squared difference of the neighbors' channels and m the mean of
/// the two directions' means of d. Conjugate gradients with a diagonal preconditioner, in double precision, from the
/// target, until no preconditioned residual exceeds 1e-4, at most 40 steps. Deterministic.
std::vector<double> random_walk(const WalkerProblem& problem);

}  // namespace medsam::session
