// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "backends/native/thread_pool.hpp"

#include <sched.h>

#include <algorithm>

namespace medsam::backends::native {

struct ThreadPool::Loop {
  std::size_t next = 0, count = 0;
  std::size_t running = 0;  // threads inside
  std::size_t slots = 0;    // given out so far
  const std::function<void(std::size_t, std::size_t)>* body = nullptr;
};

namespace {

std::size_t allowed_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) return static_cast<std::size_t>(std::max(1, CPU_COUNT(&set)));
  return std::max(1U, std::thread::hardware_concurrency());
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
  const std::size_t cores = allowed_cores();
  const std::size_t wanted = threads > 0 ? std::min(static_cast<std::size_t>(threads), cores) : cores;
  for (std::size_t i = 1; i < wanted; ++i) workers_.emplace_back([this] { work(); });
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

// A call takes 0.1 ms and more, so one lock for all does not stand in the way.
void ThreadPool::take_part(Loop& loop, std::size_t slot, std::unique_lock<std::mutex>& lock) {
  while (loop.next < loop.count) {
    const std::size_t i = loop.next++;
    lock.unlock();
    (*loop.body)(i, slot);
    lock.lock();
  }
}

void ThreadPool::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stop_ || !loops_.empty(); });
    if (stop_) return;
    Loop& loop = *loops_.front();
    const std::size_t slot = loop.slots++;
    ++loop.running;
    take_part(loop, slot, lock);
    loops_.erase(std::remove(loops_.begin(), loops_.end(), &loop), loops_.end());
    if (--loop.running == 0) done_.notify_all();
  }
}

void ThreadPool::run(std::size_t count, const std::function<void(std::size_t, std::size_t)>& body) {
  Loop loop;
  loop.count = count;
  loop.slots = 1;
  loop.body = &body;
  std::unique_lock lock(mutex_);
  if (count > 1 && !workers_.empty()) {
    loops_.push_back(&loop);
    wake_.notify_all();
  }
  take_part(loop, 0, lock);
  loops_.erase(std::remove(loops_.begin(), loops_.end(), &loop), loops_.end());
  done_.wait(lock, [&] { return loop.running == 0; });
}

}  // namespace medsam::backends::native
