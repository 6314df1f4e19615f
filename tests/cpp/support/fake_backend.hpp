// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A backend without a vendor: arithmetic instead of a network, so that the engine's own work can be tested exactly,
// under ThreadSanitizer too. It takes the place of backends/registry.cpp at link time. Computes what
// tests/data/make_tiny_bundle.py writes as ONNX.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>

namespace medsam::backends {
class Backend;
}

namespace medsam::testing {

struct FakeBackendCounters {
  std::atomic<int> compiled{0}, runs{0}, largest_batch{0};
  /// Backends for graphs that were made.
  std::atomic<int> created{0};
  /// Runs left before one throws BackendError; negative = never.
  std::atomic<int> fail_after{-1};
  /// Serves "cuda:0", given the fake backend itself; nullptr = there is no such device.
  std::unique_ptr<backends::Backend> (*device)(std::unique_ptr<backends::Backend>) = nullptr;
  /// Whether "AUTO" comes to "GPU", and not to "CPU".
  std::atomic<bool> finds_gpu{false};
  /// Whether there is a backend for native models.
  std::atomic<bool> fused{false};
  /// Called with a model's path when it is about to be read.
  std::function<void(const std::string& path)> before_reading;
  /// Whether parts of maps are answered with whole ones, as a backend may; and rows that are missing where not.
  std::atomic<bool> whole_maps{false};
  std::atomic<int> rows_missing{0};
  /// Runs of which a part was wanted.
  std::atomic<int> parts{0};
  /// The next answers hold a NaN.
  std::atomic<bool> answer_nan{false};

  /// What was compiled since the last call, e.g. "encoder.onnx bf16 2" with the precision and the threads asked for.
  std::set<std::string> take_compiled() {
    const std::lock_guard lock(mutex);
    return std::exchange(compiled_as, {});
  }
  std::mutex mutex;
  std::set<std::string> compiled_as;
};

FakeBackendCounters& fake_backend();

}  // namespace medsam::testing
