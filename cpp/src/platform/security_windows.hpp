// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Whose a file is, and who may write to it, in Windows' terms: security identifiers and lists of rights.
#pragma once

#include <windows.h>

#include <string>
#include <system_error>
#include <vector>

namespace medsam::platform {

/// The user of this process as a security identifier; empty where Windows does not say.
std::vector<BYTE> own_user();

/// What makes a new file or folder this user's alone: all rights for the user, none inherited.
class OwnSecurity {
 public:
  OwnSecurity();
  OwnSecurity(const OwnSecurity&) = delete;
  OwnSecurity& operator=(const OwnSecurity&) = delete;
  /// Null, which means the folder's own rights, where Windows does not say who the user is.
  [[nodiscard]] SECURITY_ATTRIBUTES* attributes() { return list_.empty() ? nullptr : &attributes_; }

 private:
  std::vector<BYTE> user_, list_;
  SECURITY_DESCRIPTOR descriptor_{};
  SECURITY_ATTRIBUTES attributes_{};
};

/// "" when the file is this user's, or the administrators' of whom this user is one; else "user S-1-5-...".
std::string foreign_owner_of(HANDLE file);

/// Whether a list of rights lets everybody, or every user of the machine, write.
bool others_may_write(HANDLE folder);

/// Gives `file` the list of rights of the file at `path`, if there is one.
std::error_code take_access_of(HANDLE file, const std::string& path);

}  // namespace medsam::platform
