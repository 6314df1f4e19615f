// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Ctrl-C and the caller's own wish to stop, asked for between batches of prompts while the GIL is released.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <exception>
#include <functional>
#include <string>
#include <utility>

#include "medsam/error.hpp"
#include "medsam/image.hpp"

namespace medsam::python {

/// Lives on the stack of one call, on the calling thread, outside the block that releases the GIL.
class Cancellation {
 public:
  /// `callable`: a Python function without arguments, or None.
  explicit Cancellation(const pybind11::object& callable) : callable_(callable) {}
  Cancellation(const Cancellation&) = delete;
  Cancellation& operator=(const Cancellation&) = delete;

  /// For the engine's options; takes the GIL while it asks.
  [[nodiscard]] std::function<bool()> probe() {
    return [this] { return asked_to_stop(); };
  }

  /// For the engine's options: calls `progress(done, total)`, or nothing when it is None, and stops when that raises.
  [[nodiscard]] std::function<void(std::int64_t done, std::int64_t total)> reporter(const pybind11::object& progress) {
    return [this, &progress](std::int64_t done, std::int64_t total) {
      guarded("progress", [&] { progress(done, total); });
    };
  }

  /// For Session::propagate: hands each plane, as a bool array, to `reached(index, mask)`, and goes on if that returns
  /// None or a true value.
  [[nodiscard]] std::function<bool(std::int64_t index, const LabelView& mask)> plane_reporter(
      const pybind11::object& reached);

  /// Runs a callback of the caller's with the GIL, and stops the call when it raises.
  template <typename Callback>
  void guarded(const char* name, Callback&& callback) {
    {
      const pybind11::gil_scoped_acquire acquire;
      try {
        std::forward<Callback>(callback)();
        return;
      } catch (...) {
        raised_ = std::current_exception();
      }
    }
    throw Cancelled(std::string(name) + ": the callback raised");
  }

  /// Runs `call` with the GIL released. KeyboardInterrupt, or what the callable raised, wins over Cancelled.
  template <typename Call>
  auto run_without_gil(Call&& call) {
    try {
      const pybind11::gil_scoped_release release;
      return std::forward<Call>(call)();
    } catch (const Cancelled&) {
      if (raised_) std::rethrow_exception(raised_);
      throw;
    }
  }

 private:
  bool asked_to_stop();

  const pybind11::object& callable_;
  std::exception_ptr raised_;
};

}  // namespace medsam::python
