// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "c_api/handles.hpp"

#include <mutex>
#include <unordered_map>

#include "medsam/error.hpp"
#include "platform/process.hpp"

namespace medsam::c_api {

namespace {

constexpr std::uintptr_t kKindBits = 3, kKindMask = (1U << kKindBits) - 1;

struct Registry {
  std::mutex mutex;
  std::uintptr_t made = 0;  // handles ever: on a 64-bit system they do not come round
  std::unordered_map<std::uintptr_t, std::shared_ptr<const void>> live;
};

Registry& registry() {
  // Never destroyed: a host's own static objects may end their handles after ours would have gone. A child process
  // after fork gets it unlocked and whole, whatever other threads were doing.
  static Registry& the_one = []() -> Registry& {
    static auto* made = new Registry;
    platform::lock_around_fork(made->mutex);
    return *made;
  }();
  return the_one;
}

const char* name_of(HandleKind kind) {
  switch (kind) {
    case HandleKind::engine:
      return "engine";
    case HandleKind::embedding:
      return "embedding";
    case HandleKind::prediction:
      return "prediction";
    case HandleKind::session:
      return "session";
    default:
      return "unknown";
  }
}

// Why `handle` is no live handle of the kind. Reads nothing that it might point to.
[[noreturn]] void refuse(HandleKind kind, std::uintptr_t handle, const Registry& from) {
  const std::string name = name_of(kind);
  const auto wanted = static_cast<std::uintptr_t>(kind), got = handle & kKindMask;
  const bool ours = got != 0 && got <= static_cast<std::uintptr_t>(HandleKind::session) && handle >> kKindBits >= 1 &&
                    handle >> kKindBits <= from.made;
  if (ours && got != wanted) {
    throw InvalidArgument(name + ": got a handle of another kind (" + name_of(static_cast<HandleKind>(got)) +
                          "), expected a medsam_" + name);
  }
  if (ours) {
    throw InvalidArgument(name + ": got a handle that was destroyed, expected a live one; set it to NULL when it ends");
  }
  throw InvalidArgument(name + ": got a pointer that is no handle, expected one that this library made");
}

}  // namespace

void* new_handle(HandleKind kind, std::shared_ptr<const void> target) {
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  const std::uintptr_t handle = (all.made + 1) << kKindBits | static_cast<std::uintptr_t>(kind);
  all.live.emplace(handle, std::move(target));
  ++all.made;
  return reinterpret_cast<void*>(handle);  // NOLINT(performance-no-int-to-ptr): a number that is never followed
}

std::shared_ptr<const void> target_of(HandleKind kind, const void* handle) {
  if (handle == nullptr) {
    throw InvalidArgument(std::string(name_of(kind)) + ": got NULL, expected a valid pointer");
  }
  Registry& all = registry();
  const auto number = reinterpret_cast<std::uintptr_t>(handle);
  const std::lock_guard lock(all.mutex);
  const auto found = all.live.find(number);
  if (found == all.live.end() || (number & kKindMask) != static_cast<std::uintptr_t>(kind)) refuse(kind, number, all);
  return found->second;
}

std::shared_ptr<const void> forget(HandleKind kind, const void* handle) {
  if (handle == nullptr) return nullptr;
  Registry& all = registry();
  const auto number = reinterpret_cast<std::uintptr_t>(handle);
  const std::lock_guard lock(all.mutex);
  const auto found = all.live.find(number);
  if (found == all.live.end() || (number & kKindMask) != static_cast<std::uintptr_t>(kind)) refuse(kind, number, all);
  std::shared_ptr<const void> target = std::move(found->second);
  all.live.erase(found);
  return target;  // which ends it outside the lock
}

}  // namespace medsam::c_api
