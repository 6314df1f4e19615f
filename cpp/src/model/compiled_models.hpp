// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "backends/backend.hpp"
#include "base/once_cache.hpp"

namespace medsam {

/// Compiled models by content, for as long as somebody uses them: experts that share a model share what it was compiled
/// to, also when they load at the same time. Thread-safe.
class CompiledModels {
 public:
  using Model = std::shared_ptr<const backends::CompiledModel>;

  CompiledModels() : making_(0, [](const Model&) { return std::uint64_t{1}; }) {}

  /// The model of `key`: one in use, else what make() gives, which is called once however many ask meanwhile. What it
  /// throws reaches all of them, and the next to ask tries again.
  Model get(const std::string& key, const std::function<Model()>& make);

 private:
  Model in_use(const std::string& key);

  std::mutex mutex_;
  std::map<std::string, std::weak_ptr<const backends::CompiledModel>> made_;  // guarded by mutex_
  OnceCache<std::string, Model> making_;                                      // keeps nothing: concurrent calls share
};

}  // namespace medsam
