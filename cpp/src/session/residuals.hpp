// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Corrections on a few planes of an object, carried to the planes near them: what a correction did to the signed
// distance of the mask is added to that of the neighbors, less with the distance. What it took away reaches less far
// than what it added: where a mask has too much, its neighbors often have not. docs/interaction.md has the figures.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "session/mask.hpp"

namespace medsam::session {

/// What corrections did, by plane.
class Residuals {
 public:
  /// `planes`: how many the object has.
  explicit Residuals(std::int64_t planes);

  /// The mask of a plane before and after it was corrected.
  void add(std::int64_t index, const PlaneMask& before, const PlaneMask& after);
  /// The mask of another plane, changed as the corrections near it ask for.
  [[nodiscard]] PlaneMask applied(std::int64_t index, const PlaneMask& mask) const;

 private:
  double added_, taken_;  // how far what became larger and what became smaller reach, planes
  std::map<std::int64_t, std::vector<float>> keys_;
};

}  // namespace medsam::session
