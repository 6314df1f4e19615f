// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#pragma once

namespace medsam::fuzz {

/// Ends the process, as a sanitizer would, when something that must always hold does not.
inline void expect(bool holds) {
  if (!holds) __builtin_trap();
}

}  // namespace medsam::fuzz
