// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The engine as the module holds it.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "medsam/engine.hpp"

namespace medsam::python {

/// Messages of the library, kept until Python asks: its threads must not call Python, and no Python object may live in
/// a C++ member.
class MessageQueue {
 public:
  void push(LogLevel level, const std::string& text) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (messages_.size() < kMax) messages_.emplace_back(level == LogLevel::warning, text);
  }
  std::vector<std::pair<bool, std::string>> take() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return std::exchange(messages_, {});
  }

 private:
  static constexpr std::size_t kMax = 256;
  std::mutex mutex_;
  std::vector<std::pair<bool, std::string>> messages_;
};

struct BoundEngine {
  std::shared_ptr<MessageQueue> messages;
  std::shared_ptr<const Engine> engine;  // shared with the sessions that use it
};

/// "slices" or "three"; InvalidArgument otherwise.
VolumePlanes planes_of(const std::string& name);

/// Adds segment_volume to the class.
void register_volume(pybind11::class_<BoundEngine>& engine);

}  // namespace medsam::python
