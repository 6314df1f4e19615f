// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The library's edge: whatever is thrown inside leaves as one of medsam's own errors.
#pragma once

#include <exception>
#include <new>
#include <string>
#include <utility>

#include "medsam/error.hpp"
#include "medsam/options.hpp"
#include "medsam/printable.hpp"

namespace medsam {

/// Calls f; `what` names the operation in the message of an error that is not ours.
template <class F>
auto at_edge(const char* what, F&& f) -> decltype(std::forward<F>(f)()) {
  try {
    return std::forward<F>(f)();
  } catch (const Error&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw OutOfMemory(std::string(what) +
                      ": not enough memory; free some, or use smaller images, fewer prompts or a smaller cache");
  } catch (const std::exception& e) {
    throw BackendError(std::string(what) + ": " + e.what());
  }
}

/// The caller's log: every message is one printable line, and what the callback throws goes no further, since it may be
/// called on a thread of a vendor's.
inline EngineOptions with_guarded_log(EngineOptions options) {
  if (!options.log) return options;
  options.log = [log = std::move(options.log)](LogLevel level, const std::string& text) {
    try {
      log(level, printable(text));
    } catch (...) {  // NOLINT(bugprone-empty-catch): a message that could not be delivered must not cost the result
    }
  };
  return options;
}

}  // namespace medsam
