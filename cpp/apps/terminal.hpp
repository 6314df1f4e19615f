// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What medsam-npz says, on standard error: a progress bar where that is a terminal, a line for each failure, a summary.
#pragma once

#include <mutex>
#include <string>

#include "medsam/folder.hpp"

namespace medsam::apps {

/// Safe to use from many threads: the engine tells of what it compiles on threads of its own.
class Terminal {
 public:
  explicit Terminal(bool quiet);

  /// A line of its own, above the bar; not when quiet.
  void note(const std::string& text);
  /// As note, when quiet too.
  void complain(const std::string& text);
  void progress(const FolderProgress& progress);
  void finished(const CaseReport& report);
  void summary(const FolderReport& report);

 private:
  void print(const std::string& text);
  void clear_bar();

  const bool quiet_, bar_;
  std::mutex mutex_;  // guards what follows, and the order of what is written
  bool shown_ = false;
};

/// "12.3 ms", "4.56 s".
std::string duration(double seconds);

}  // namespace medsam::apps
