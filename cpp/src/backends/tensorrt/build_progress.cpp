// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "backends/tensorrt/build_progress.hpp"

#include <algorithm>
#include <utility>

namespace medsam::backends::tensorrt {

BuildProgress::BuildProgress(std::string what, Report report) : what_(std::move(what)), report_(std::move(report)) {}

void BuildProgress::start(const std::string& phase, const std::string& parent, int steps) {
  const std::lock_guard lock(mutex_);
  phases_[phase] = {parent, std::max(steps, 1), 0};
}

void BuildProgress::step(const std::string& phase, int step) {
  const std::lock_guard lock(mutex_);
  const auto known = phases_.find(phase);
  if (known == phases_.end()) return;
  known->second.done = std::clamp(step + 1, known->second.done, known->second.steps);
  std::erase_if(phases_, [&](const auto& other) { return other.second.parent == phase; });
  report_tenth();
}

void BuildProgress::finish(const std::string& phase) {
  const std::lock_guard lock(mutex_);
  const auto known = phases_.find(phase);
  if (known == phases_.end()) return;
  known->second.done = known->second.steps;
  report_tenth();
}

// Of 1: the steps that are done, and of the next one what the phase within it says, where there is one.
double BuildProgress::share(const std::string& phase) const {
  const Phase& own = phases_.at(phase);
  double within = 0;
  for (const auto& [name, other] : phases_) {
    if (other.parent == phase) within = std::max(within, share(name));
  }
  return std::min((own.done + within) / own.steps, 1.0);
}

void BuildProgress::report_tenth() {
  // Of the outermost phases, of which there is one as a rule, the one that is least far. What hangs on no phase counts
  // for nothing, so that names in a ring are not followed.
  double least = 2;
  for (const auto& [name, phase] : phases_) {
    if (phase.parent.empty()) least = std::min(least, share(name));
  }
  const int tenths = least > 1 ? 0 : static_cast<int>(least * 10 + 1e-6);
  if (tenths <= tenths_) return;
  tenths_ = tenths;
  if (report_) report_(what_ + ": " + std::to_string(10 * tenths) + " %");
}

}  // namespace medsam::backends::tensorrt
