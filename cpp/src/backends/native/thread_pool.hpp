// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The native room's own threads. In a volume a pool encodes the next slice while another decodes this one
// (cpp/src/volume/volume.cpp), each with all the cores, so that there are two threads per core. On two idle cores,
// encoding and decoding one after the other took 0.99 to 1.00 of that time, and half the cores for each 1.16 to 1.63
// (docs/lab_notes.md, "Two pools in a volume").
#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "platform/cores.hpp"

namespace medsam::backends::native {

/// The allowed cores but this one; nothing where it is the only one, or none of them.
std::optional<platform::Cores> cores_but(const platform::Cores& allowed, int core);

/// Threads that share loops. Several callers may run loops at once; a caller works on its own loop until it is done.
class ThreadPool {
 public:
  /// `threads` work on a loop, the caller among them; 0: as many as this process may run on. Fewer where the system
  /// starts no more.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  /// The most threads that work on one loop.
  [[nodiscard]] std::size_t size() const { return workers_.size() + 1; }

  /// Calls body(i, slot) for every i below `count`, in any order. No two calls at the same time have the same slot,
  /// which is below size(). `body` must not throw. Thread-safe.
  void run(std::size_t count, const std::function<void(std::size_t i, std::size_t slot)>& body);

 private:
  struct Loop;
  void work();
  /// Keeps the workers off the caller's core. A virtual machine's scheduler can wake a worker there again and again,
  /// where it waits for the caller, and loops of a millisecond end before the cores are evened out: a click took 7.3 ms
  /// on two idle cores instead of 4.2 (docs/lab_notes.md, "A worker on its caller's core"). mutex_ is held.
  void leave_callers_core(int core);
  static void take_part(Loop& loop, std::size_t slot, std::unique_lock<std::mutex>& lock);

  const platform::Cores allowed_;  // of the thread that made this; the workers stay within
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::vector<Loop*> loops_;  // with calls left to start
  bool stop_ = false;
  int left_ = -1;  // the core that the workers are kept off
  std::vector<std::thread> workers_;
};

/// The pool of a model, whose loops run on `threads` as above. A model has its own, except where threads cannot be
/// started at any time (platform::starts_threads): there all models with as many threads share one, which stays.
/// Thread-safe.
std::shared_ptr<ThreadPool> pool_of_model(int threads);

}  // namespace medsam::backends::native
