// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A warp whose threads exchange values: fibers, each of which runs to its next exchange. All 32 must come to the same
// one, as shfl.sync with all members asks.
#pragma once

#include <gtest/gtest.h>
#include <ucontext.h>

#include <array>
#include <vector>

#include "kernels/cuda/ptx_machine.hpp"

namespace medsam::kernels::ptx {

inline constexpr std::size_t kWarp = 32;

class Warp {
 public:
  Warp(const Kernel& kernel, std::uint64_t param) : kernel_(kernel), param_(param) {}

  void run(const std::array<Thread, kWarp>& threads) {
    for (std::size_t i = 0; i < kWarp; ++i) start(i, threads[i]);
    while (step()) {
    }
  }

 private:
  static constexpr std::size_t kStackBytes = std::size_t{64} * 1024;

  struct Lane {
    ucontext_t context{};
    Thread thread;
    bool done = false;
    std::uint64_t given = 0, offset = 0;
  };

  void start(std::size_t i, const Thread& thread) {
    Lane& lane = lanes_[i];
    lane.thread = thread;
    lane.done = false;
    lane.thread.swap = [this, i](std::uint64_t value, std::uint64_t offset) {
      lanes_[i].given = value;
      lanes_[i].offset = offset;
      swapcontext(&lanes_[i].context, &scheduler_);
      return taken_[(i ^ offset) % kWarp];
    };
    getcontext(&lane.context);
    static std::vector<unsigned char> stacks(kWarp * kStackBytes);
    lane.context.uc_stack.ss_sp = stacks.data() + i * kStackBytes;
    lane.context.uc_stack.ss_size = kStackBytes;
    lane.context.uc_link = &scheduler_;
    makecontext(&lane.context, &Warp::enter, 0);
  }

  static void enter() {
    Lane& lane = running_->lanes_[running_->current_];
    running_->kernel_.run(running_->param_, lane.thread);
    lane.done = true;
  }

  /// Every thread to its next exchange or its end; false when they have ended.
  bool step() {
    running_ = this;
    for (std::size_t i = 0; i < kWarp; ++i) taken_[i] = lanes_[i].given;  // before anyone goes on and gives anew
    std::size_t done = 0;
    for (current_ = 0; current_ < kWarp; ++current_) {
      swapcontext(&scheduler_, &lanes_[current_].context);
      done += lanes_[current_].done ? 1 : 0;
      EXPECT_EQ(lanes_[current_].offset, lanes_[0].offset);
    }
    EXPECT_TRUE(done == 0 || done == kWarp) << done << " threads of a warp ended while the others exchange";
    return done == 0;
  }

  const Kernel& kernel_;
  std::uint64_t param_;
  std::array<Lane, kWarp> lanes_;
  std::array<std::uint64_t, kWarp> taken_{};
  ucontext_t scheduler_{};
  std::size_t current_ = 0;
  inline static Warp* running_ = nullptr;
};

}  // namespace medsam::kernels::ptx
