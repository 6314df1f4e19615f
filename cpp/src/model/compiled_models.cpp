// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "model/compiled_models.hpp"

#include <exception>
#include <utility>

namespace medsam {

CompiledModels::Model CompiledModels::get(const std::string& key, const std::function<Model()>& make) {
  std::promise<Model> promise;
  {
    std::unique_lock lock(mutex_);
    Entry& entry = entries_[key];
    if (Model made = entry.made.lock()) return made;
    if (entry.making.valid()) {
      const std::shared_future<Model> making = entry.making;
      lock.unlock();
      return making.get();
    }
    entry.making = promise.get_future().share();
  }
  try {
    Model made = make();
    const std::lock_guard lock(mutex_);
    entries_[key] = {made, {}};
    promise.set_value(made);
    return made;
  } catch (...) {
    const std::lock_guard lock(mutex_);
    entries_.erase(key);
    promise.set_exception(std::current_exception());
    throw;
  }
}

}  // namespace medsam
