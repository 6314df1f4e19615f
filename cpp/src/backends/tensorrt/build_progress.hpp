// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// How far a build is, out of TensorRT's nested phases. Knows no TensorRT, so that it is tested everywhere.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>

namespace medsam::backends::tensorrt {

/// Reports every tenth of a build that is reached, never less than before. Thread-safe; `report` is called by whichever
/// thread builds, by one at a time.
class BuildProgress {
 public:
  using Report = std::function<void(const std::string&)>;

  /// `what` begins each report: "<what>: 40 %". Nothing is done without a `report`.
  BuildProgress(std::string what, Report report);

  /// A phase of so many steps begins, within another; "" for a phase of its own.
  void start(const std::string& phase, const std::string& parent, int steps);
  /// Of a phase, the step `step`, counted from 0, is done, and with it every phase within it.
  void step(const std::string& phase, int step);
  void finish(const std::string& phase);

 private:
  struct Phase {
    std::string parent;
    int steps = 1, done = 0;
  };
  [[nodiscard]] double share(const std::string& phase) const;
  void report_tenth();

  const std::string what_;
  const Report report_;
  std::mutex mutex_;
  std::map<std::string, Phase> phases_;
  int tenths_ = 0;
};

}  // namespace medsam::backends::tensorrt
