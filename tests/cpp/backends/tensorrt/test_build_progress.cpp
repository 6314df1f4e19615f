// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// How far a build of TensorRT is, out of the phases it tells of.
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "backends/tensorrt/build_progress.hpp"

namespace medsam::backends::tensorrt {
namespace {

using Lines = std::vector<std::string>;

class BuildProgressOf : public ::testing::Test {
 protected:
  Lines lines_;
  BuildProgress progress_{"encoder", [this](const std::string& line) { lines_.push_back(line); }};
};

TEST_F(BuildProgressOf, OnePhaseIsItsSteps) {
  progress_.start("build", "", 5);
  for (int i = 0; i < 5; ++i) progress_.step("build", i);
  progress_.finish("build");
  EXPECT_EQ(lines_, (Lines{"encoder: 20 %", "encoder: 40 %", "encoder: 60 %", "encoder: 80 %", "encoder: 100 %"}));
}

TEST_F(BuildProgressOf, APhaseWithinAStepIsPartOfIt) {
  progress_.start("build", "", 2);
  progress_.step("build", 0);
  progress_.start("optimize", "build", 2);
  progress_.start("time", "optimize", 2);
  progress_.step("time", 0);  // 1/2 + 1/2 * 1/2 * 1/2
  EXPECT_EQ(lines_, (Lines{"encoder: 50 %", "encoder: 60 %"}));
  progress_.finish("time");
  progress_.step("optimize", 0);
  EXPECT_EQ(lines_.back(), "encoder: 70 %");
  progress_.finish("optimize");
  progress_.step("build", 1);
  progress_.finish("build");
  EXPECT_EQ(lines_.back(), "encoder: 100 %");
  EXPECT_EQ(lines_.size(), 4u) << "what is reached again is not said again";
}

TEST_F(BuildProgressOf, NeverGoesBack) {
  progress_.start("build", "", 2);
  progress_.start("one", "build", 1);
  progress_.finish("one");
  EXPECT_EQ(lines_, (Lines{"encoder: 50 %"}));
  progress_.start("two", "build", 10);
  progress_.start("one", "build", 10);  // a name may be used again
  progress_.step("one", 2);
  progress_.step("build", 0);
  EXPECT_EQ(lines_.size(), 1u);
  progress_.finish("build");
  EXPECT_EQ(lines_.size(), 2u);
}

TEST_F(BuildProgressOf, StrangeReportsAreBorne) {
  progress_.step("never begun", 3);
  progress_.finish("never begun");
  progress_.start("build", "", 0);
  progress_.start("a", "b", 1);
  progress_.start("b", "a", 1);  // a ring
  progress_.step("a", -7);
  EXPECT_TRUE(lines_.empty());
  progress_.step("build", 1000);
  EXPECT_EQ(lines_, (Lines{"encoder: 100 %"}));
}

TEST_F(BuildProgressOf, TakesReportsOfManyThreads) {
  progress_.start("build", "", 1000);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this, t] {
      for (int i = t; i < 1000; i += 4) progress_.step("build", i);
    });
  }
  for (std::thread& thread : threads) thread.join();
  progress_.finish("build");
  EXPECT_EQ(lines_.back(), "encoder: 100 %");
  EXPECT_LE(lines_.size(), 10u);
}

TEST(BuildProgress, WithoutAListenerIsSilent) {
  BuildProgress progress("encoder", nullptr);
  progress.start("build", "", 1);
  progress.finish("build");
}

}  // namespace
}  // namespace medsam::backends::tensorrt
