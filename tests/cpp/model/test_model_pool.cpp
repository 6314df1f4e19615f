// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "model/model.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <random>
#include <thread>

#include "medsam/error.hpp"
#include "support/tiny_bundle.hpp"

namespace medsam {
namespace {

using Names = std::vector<std::string>;

class ModelPoolTest : public ::testing::Test {
 protected:
  ModelPoolTest() : bundle_(read_bundle(testing::write_tiny_bundle(folder_.path("b")))) {
    backend_ = backends::create_backend("CPU");
  }

  ModelPool pool(std::size_t limit) {
    return {limit, [this](const std::string& name) {
              ++loads_;
              if (name == "broken") throw ModelError("broken");
              return std::make_shared<Model>(bundle_, "", name,
                                             [this](const ModelFile& model, std::vector<backends::Shape> shapes) {
                                               return backend_->compile(model, {"f32", 0, std::move(shapes)}, cache_);
                                             });
            }};
  }

  testing::TemporaryFolder folder_;
  Bundle bundle_;
  CacheFolder cache_{"none", nullptr};
  std::unique_ptr<backends::Backend> backend_;
  std::atomic<int> loads_{0};
};

TEST_F(ModelPoolTest, KeepsTheMostRecentlyUsed) {
  ModelPool pool = this->pool(2);
  const auto a = pool.get("a");
  EXPECT_EQ(pool.get("a"), a);
  static_cast<void>(pool.get("b"));
  static_cast<void>(pool.get("a"));
  static_cast<void>(pool.get("c"));
  EXPECT_EQ(pool.loaded(), (Names{"c", "a"}));
  EXPECT_EQ(loads_, 3);
  EXPECT_EQ(pool.get("a"), a);
  static_cast<void>(pool.get("b"));
  EXPECT_EQ(loads_, 4);
}

TEST_F(ModelPoolTest, AnEvictedExpertLivesWhileItIsUsed) {
  ModelPool pool = this->pool(1);
  const std::weak_ptr<Model> idle = pool.get("a");
  const std::shared_ptr<Model> busy = pool.get("b");
  EXPECT_TRUE(idle.expired());
  static_cast<void>(pool.get("c"));
  EXPECT_EQ(pool.loaded(), Names{"c"});
  EXPECT_EQ(busy->decoder().low_height(), testing::kMaskSide);
}

// DAFT's ten, three held: whatever the order, no fourth lives, and one that was put out is loaded again.
TEST_F(ModelPoolTest, TenExpertsWithThreeHeld) {
  const Names names{"3D",         "XRay",       "US",          "Fundus", "Endoscopy",
                    "Dermoscopy", "Microscopy", "Mammography", "OCT",    "general"};
  ModelPool pool = this->pool(3);
  std::map<std::string, std::weak_ptr<Model>> loaded;
  Names recent;  // most recent first
  std::mt19937 random(3);
  int expected_loads = 0;
  for (int step = 0; step < 200; ++step) {
    const std::string& name = names[random() % names.size()];
    const bool held = std::find(recent.begin(), recent.end(), name) != recent.end();
    expected_loads += held ? 0 : 1;
    loaded[name] = pool.get(name);
    recent.erase(std::remove(recent.begin(), recent.end(), name), recent.end());
    recent.insert(recent.begin(), name);
    if (recent.size() > 3) recent.pop_back();
    ASSERT_EQ(pool.loaded(), recent);
    ASSERT_EQ(loads_, expected_loads);
    const auto alive = std::count_if(loaded.begin(), loaded.end(), [](const auto& e) { return !e.second.expired(); });
    ASSERT_EQ(static_cast<std::size_t>(alive), recent.size());
  }
  EXPECT_EQ(loaded.size(), names.size());
  EXPECT_GT(loads_, 30);  // every expert more than three times, on average
}

TEST_F(ModelPoolTest, AFailedLoadIsTriedAgain) {
  ModelPool pool = this->pool(2);
  EXPECT_THROW(pool.get("broken"), ModelError);
  EXPECT_TRUE(pool.loaded().empty());
  EXPECT_THROW(pool.get("broken"), ModelError);
  EXPECT_EQ(loads_, 2);
}

TEST_F(ModelPoolTest, ThreadsShareOneLoad) {
  ModelPool pool = this->pool(3);
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&pool, t] { static_cast<void>(pool.get(t % 2 == 0 ? "a" : "b")); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(loads_, 2);
}

}  // namespace
}  // namespace medsam
