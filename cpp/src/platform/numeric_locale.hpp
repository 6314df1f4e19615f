// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A vendor's library may print and parse numbers with the C functions that follow setlocale, which a host has called in
// the user's language (every Qt program has): OpenVINO then stores a compiled model with "0,5" for 0.5.
#pragma once

namespace medsam::platform {

/// While it lives, printf and strtod of the calling thread write and take a decimal point. Other threads and the
/// process's locale stay as they are: setlocale would change the host's, under its feet. Where the C library has no
/// memory for it, nothing changes.
class NumericLocale {
 public:
  NumericLocale() noexcept;
  ~NumericLocale();
  NumericLocale(const NumericLocale&) = delete;
  NumericLocale& operator=(const NumericLocale&) = delete;

 private:
  struct Before;
  Before* before_;
};

}  // namespace medsam::platform
