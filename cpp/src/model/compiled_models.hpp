// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#pragma once

#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "backends/backend.hpp"

namespace medsam {

/// Compiled models by content, for as long as somebody uses them: experts that share a model share what it was compiled
/// to, also when they load at the same time. Thread-safe.
class CompiledModels {
 public:
  using Model = std::shared_ptr<const backends::CompiledModel>;

  /// The model of `key`: one in use, else what make() gives, which is called once however many ask meanwhile. What it
  /// throws reaches all of them, and the next to ask tries again.
  Model get(const std::string& key, const std::function<Model()>& make);

 private:
  struct Entry {
    std::weak_ptr<const backends::CompiledModel> made;
    std::shared_future<Model> making;  // invalid where nobody is
  };
  std::mutex mutex_;
  std::map<std::string, Entry> entries_;
};

}  // namespace medsam
