// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "model/compiled_models.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

namespace medsam {
namespace {

class NoModel final : public backends::CompiledModel {
 public:
  std::unique_ptr<backends::Request> create_request() const override { return nullptr; }
};

TEST(CompiledModels, AModelInUseIsSharedAndAnUnusedOneMadeAgain) {
  CompiledModels models;
  int made = 0;
  const auto make = [&] {
    ++made;
    return std::make_shared<const NoModel>();
  };
  CompiledModels::Model a = models.get("a", make);
  EXPECT_EQ(models.get("a", make), a);
  EXPECT_NE(models.get("b", make), a);
  EXPECT_EQ(made, 2);
  a.reset();
  static_cast<void>(models.get("a", make));
  EXPECT_EQ(made, 3);
}

TEST(CompiledModels, ThoseWhoAskAtTheSameTimeGetOne) {
  CompiledModels models;
  std::atomic<int> made{0}, arrived{0};
  std::vector<CompiledModels::Model> got(8);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < got.size(); ++t) {
    threads.emplace_back([&, t] {
      ++arrived;
      got[t] = models.get("a", [&] {
        while (arrived < 8) std::this_thread::yield();  // hold the work until everyone is on the way
        ++made;
        return std::make_shared<const NoModel>();
      });
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(made, 1);
  for (const CompiledModels::Model& model : got) EXPECT_EQ(model, got[0]);
}

TEST(CompiledModels, AFailureReachesTheCallerAndIsNotKept) {
  CompiledModels models;
  EXPECT_THROW(models.get("a", []() -> CompiledModels::Model { throw std::runtime_error("no"); }), std::runtime_error);
  EXPECT_NE(models.get("a", [] { return std::make_shared<const NoModel>(); }), nullptr);
}

}  // namespace
}  // namespace medsam
