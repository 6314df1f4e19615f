// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "backends/native/thread_pool.hpp"

#include <algorithm>
#include <map>
#include <system_error>

namespace medsam::backends::native {

struct ThreadPool::Loop {
  std::size_t next = 0, count = 0;
  std::size_t running = 0;  // threads inside
  std::size_t slots = 0;    // given out so far
  const std::function<void(std::size_t, std::size_t)>* body = nullptr;
};

std::optional<platform::Cores> cores_but(const platform::Cores& allowed, int core) {
  const auto index = static_cast<std::size_t>(core);
  if (core < 0 || index >= allowed.size() || !allowed[index] || allowed.count() < 2) return std::nullopt;
  platform::Cores others = allowed;
  others.reset(index);
  return others;
}

ThreadPool::ThreadPool(int threads) : allowed_(platform::allowed_cores()) {
  const std::size_t known = allowed_.count();
  const std::size_t cores = known > 0 ? known : std::max(1U, std::thread::hardware_concurrency());
  const std::size_t wanted = threads > 0 ? std::min(static_cast<std::size_t>(threads), cores) : cores;
  try {
    for (std::size_t i = 1; i < wanted; ++i) workers_.emplace_back([this] { work(); });
    // No result depends on how many there are, and threads that run must not be left without their pool.
  } catch (const std::system_error&) {  // NOLINT(bugprone-empty-catch): fewer threads are no error
  }
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

void ThreadPool::leave_callers_core(int core) {
  // Of more workers, one that has to wait is a small part, and each move is a system call.
  constexpr std::size_t kMostMoved = 7;
  if (core == left_ || workers_.size() > kMostMoved) return;
  if (const auto others = cores_but(allowed_, core)) {
    for (std::thread& worker : workers_) platform::keep_on(worker, *others);
    left_ = core;
  }
}

void ThreadPool::run(std::size_t count, const std::function<void(std::size_t, std::size_t)>& body) {
  Loop loop;
  loop.count = count;
  loop.slots = 1;
  loop.body = &body;
  std::unique_lock lock(mutex_);
  if (count > 1 && !workers_.empty()) {
    leave_callers_core(platform::current_core());
    loops_.push_back(&loop);
    wake_.notify_all();
  }
  take_part(loop, 0, lock);
  loops_.erase(std::remove(loops_.begin(), loops_.end(), &loop), loops_.end());
  done_.wait(lock, [&] { return loop.running == 0; });
}

std::shared_ptr<ThreadPool> pool_of_model(int threads) {
  if (platform::starts_threads()) return std::make_shared<ThreadPool>(threads);
  static std::mutex mutex;
  static std::map<int, std::shared_ptr<ThreadPool>> pools;
  const std::lock_guard lock(mutex);
  std::shared_ptr<ThreadPool>& pool = pools[threads];
  if (pool == nullptr) pool = std::make_shared<ThreadPool>(threads);
  return pool;
}

}  // namespace medsam::backends::native
