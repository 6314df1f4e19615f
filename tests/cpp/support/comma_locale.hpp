// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A host in a language that writes 1.000,5: through setlocale, as Qt does, and through std::locale::global.
#pragma once

#include <string>

namespace medsam::testing {

/// Chosen for the process while it lives. The locale is made here, so none needs to be installed.
class CommaLocale {
 public:
  CommaLocale();
  ~CommaLocale();
  CommaLocale(const CommaLocale&) = delete;
  CommaLocale& operator=(const CommaLocale&) = delete;
  /// Whether printf writes a comma now; false where the C library is not glibc.
  [[nodiscard]] static bool active();
};

}  // namespace medsam::testing
