// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The calls of sessions that an engine is answering.
#pragma once

#include <condition_variable>
#include <mutex>

namespace medsam {

/// Of one engine, shared by its sessions: what is encoded ahead waits until nobody's prompt does.
struct PromptsInFlight {
  std::mutex mutex;
  std::condition_variable changed;  // notified after each change of what waits here look at
  int count = 0;                    // guarded by `mutex`
};

}  // namespace medsam
