// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What medsam-npz says, on standard error: a progress bar where that is a terminal, a line for each failure, a summary.
#pragma once

#include <string>

#include "medsam/folder.hpp"

namespace medsam::apps {

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

  bool quiet_, bar_, shown_ = false;
};

/// "12.3 ms", "4.56 s".
std::string duration(double seconds);

}  // namespace medsam::apps
