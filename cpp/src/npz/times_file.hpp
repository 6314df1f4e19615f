// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#pragma once

#include <string>

#include "medsam/folder.hpp"
#include "platform/file.hpp"

namespace medsam::npz {

/// The table of times: CSV (RFC 4180), a row as each case ends, so that a killed run leaves the rows it came to.
class TimesFile {
 public:
  /// Writes the heading. InvalidArgument when `path` cannot be written; "" makes one that does nothing.
  explicit TimesFile(const std::string& path);

  void add(const CaseReport& report);
  /// Why a row could not be written, or "".
  [[nodiscard]] const std::string& fault() const { return fault_; }

 private:
  void write(const std::string& line);

  platform::File file_;
  std::string fault_;
};

/// "done", "skipped", "failed".
const char* status_name(CaseStatus status);

}  // namespace medsam::npz
