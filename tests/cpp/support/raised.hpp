// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#pragma once

#include <exception>
#include <functional>
#include <string>

namespace medsam::testing {

/// The message of the E that `act` throws; another text when it throws something else, or nothing.
template <class E>
std::string raised(const std::function<void()>& act) {
  try {
    act();
  } catch (const E& e) {
    return e.what();
  } catch (const std::exception& e) {
    return std::string("another error: ") + e.what();
  }
  return "none";
}

}  // namespace medsam::testing
