// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Several answers about one object made one: a weighted mean of their logits on a slice, and a Gaussian along z.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "image/geometry.hpp"

namespace medsam {

/// A borrowed map of logits: (rows, columns), `stride` values from one row to the next.
struct LogitView {
  const float* values = nullptr;
  std::int64_t rows = 0, columns = 0, stride = 0;
};

/// The area at logits above 1 over that at logits above -1: how little a mask depends on its threshold. 0 when nothing
/// is above -1. Of the top left part of the map that shows the image.
double stability(const LogitView& map, const UnpaddedSize& shown);

/// The mean of answers to one question, each weighted by (rating times stability)^power. Used by one thread at a time.
class FusedLogits {
 public:
  explicit FusedLogits(double power) : power_(power) {}

  /// `rating`: the model's own estimate of the answer's IoU. All maps have the same size, and the first `shown` of
  /// each shows the image.
  void add(const LogitView& map, const UnpaddedSize& shown, float rating);
  /// Of what was added since the last call, one answer at least: the mean of the logits, rows dense, and of the
  /// ratings. One answer alone is its own mean.
  struct Mean {
    std::vector<float> logits;
    float rating = 0;
  };
  Mean take();

 private:
  double power_;
  std::vector<double> sum_;
  double ratings_ = 0, weights_ = 0;
};

/// The planes `first` to `last` of an object, smoothed along their axis by a Gaussian of `sigma` planes, of three
/// sigmas to each side; beyond the ends, the last plane counts again. Planes come in any order and are kept for as
/// long as one that was not asked for yet needs them. Used by one thread at a time.
class SmoothedPlanes {
 public:
  SmoothedPlanes(std::int64_t first, std::int64_t last, double sigma);

  /// How many planes on each side of one it is made of.
  [[nodiscard]] static std::int64_t radius(double sigma);
  /// The planes without which `index` cannot be made yet, in ascending order.
  [[nodiscard]] std::vector<std::int64_t> missing(std::int64_t index) const;
  void put(std::int64_t index, std::vector<float> logits);
  /// A plane that misses nothing; asked for once.
  [[nodiscard]] std::vector<float> take(std::int64_t index);

 private:
  [[nodiscard]] std::int64_t reach() const { return static_cast<std::int64_t>(weights_.size()) / 2; }
  [[nodiscard]] std::int64_t inside(std::int64_t index) const;
  [[nodiscard]] bool needed(std::int64_t index) const;

  std::int64_t first_, last_;
  std::vector<double> weights_;  // of planes -reach to reach; their sum is 1
  std::map<std::int64_t, std::vector<float>> planes_;
  std::set<std::int64_t> taken_;
};

}  // namespace medsam
