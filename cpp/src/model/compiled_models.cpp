// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "model/compiled_models.hpp"

namespace medsam {

CompiledModels::Model CompiledModels::in_use(const std::string& key) {
  const std::lock_guard lock(mutex_);
  const auto made = made_.find(key);
  return made == made_.end() ? nullptr : made->second.lock();
}

CompiledModels::Model CompiledModels::get(const std::string& key, const std::function<Model()>& make) {
  if (Model made = in_use(key)) return made;
  return making_.get(key, [&] {
    // Another call may have made it since.
    if (Model made = in_use(key)) return made;
    Model made = make();
    const std::lock_guard lock(mutex_);
    made_[key] = made;
    return made;
  });
}

}  // namespace medsam
