// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A backend that throws in mid-volume, a disk that is full, a cache that cannot be read: what was finished is not lost,
// nothing half is left, and the engine goes on.
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <mutex>
#include <thread>

#include "base/cache_folder.hpp"
#include "medsam/error.hpp"
#include "medsam/folder.hpp"
#include "npz/segs_file.hpp"
#include "support/engine_test.hpp"
#include "support/fake_backend.hpp"
#include "support/file_size_limit.hpp"
#include "support/npz_maker.hpp"
#include "support/system.hpp"

namespace medsam {
namespace {

namespace fs = std::filesystem;
using testing::FileSizeLimit;

class Faults : public EngineTest {
 protected:
  void SetUp() override {
    EngineTest::SetUp();
    options_.log = [this](LogLevel, const std::string& text) {
      const std::lock_guard lock(mutex_);
      logged_ += text + "\n";
    };
    voxels_.resize(std::size_t{8} * 16 * 20);
    for (std::size_t i = 0; i < voxels_.size(); ++i) voxels_[i] = static_cast<std::uint8_t>(i * 7 % 251);
  }
  void TearDown() override { testing::fake_backend().fail_after = -1; }

  [[nodiscard]] VolumeView volume() const { return {voxels_.data(), PixelType::u8, 8, 16, 20, 1, 20, 320}; }
  std::vector<std::uint16_t> segment(const Engine& engine, const VolumeOptions& options = {}) const {
    std::vector<std::uint16_t> labels(voxels_.size(), 9);
    engine.segment_volume(volume(), boxes_, {labels.data(), LabelType::u16, 8, 16, 20, 40, 640}, options);
    return labels;
  }
  [[nodiscard]] int files_in(const std::string& folder) const {
    int count = 0;
    if (!fs::exists(folder)) return 0;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) count += entry.is_regular_file() ? 1 : 0;
    return count;
  }

  std::vector<std::uint8_t> voxels_;
  std::vector<Box3D> boxes_ = {{2, 3, 0, 12, 10, 7}, {4, 4, 1, 18, 14, 5}};
  std::mutex mutex_;
  std::string logged_;
};

TEST_F(Faults, ABackendThatThrowsAnywhereInAVolumeLeavesAnEngineThatAnswersAsBefore) {
  for (const std::uint64_t cache_bytes : {std::uint64_t{1} << 20, std::uint64_t{0}}) {
    options_.cache_bytes = cache_bytes;
    const Engine engine(bundle_, options_);
    const int before = testing::fake_backend().runs;
    const std::vector<std::uint16_t> expected = segment(engine);
    const int runs = testing::fake_backend().runs - before;
    ASSERT_GT(runs, 10);
    for (int n = 0; n < runs; ++n) {
      engine.clear_cache();
      testing::fake_backend().fail_after = n;
      EXPECT_THROW(segment(engine), BackendError) << n;
      testing::fake_backend().fail_after = -1;
      EXPECT_EQ(segment(engine), expected) << n;
    }
  }
}

TEST_F(Faults, VolumesThatAreCancelledAndVolumesThatAreNotShareAnEngine) {
  options_.cache_bytes = 4096;
  const Engine engine(bundle_, options_);
  const std::vector<std::uint16_t> expected = segment(engine);
  std::atomic<int> wrong{0}, cancelled{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 6; ++i) {
        VolumeOptions options;
        int asked = 0;
        if (t % 2 == 0) options.cancelled = [&asked, i] { return ++asked > i; };
        try {
          if (segment(engine, options) != expected) ++wrong;
        } catch (const Cancelled&) {
          ++cancelled;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(cancelled, 12);
  EXPECT_EQ(segment(engine), expected);
}

TEST_F(Faults, InAFolderOnlyTheVolumeAtWorkIsLost) {
  fs::create_directories(folder_.path("in"));
  const std::string imgs = testing::npy("|u1", "(4, 16, 20)", std::string(1280, '\7'));
  const std::string boxes = testing::npy("<i8", "(1, 6)", testing::raw<std::int64_t>({2, 3, 0, 12, 10, 3}));
  for (const char* name : {"3DBox_a.npz", "3DBox_b.npz", "3DBox_c.npz"}) {
    testing::write_file(folder_.path(std::string("in/") + name), testing::case_bytes(imgs, boxes));
  }
  FolderOptions folder_options;
  folder_options.input = folder_.path("in");
  folder_options.output = folder_.path("out");
  // The second volume's third step.
  folder_options.progress = [](const FolderProgress& p) {
    if (p.case_index == 1 && p.step == 2) testing::fake_backend().fail_after = 0;
  };
  options_.cache_bytes = 0;
  const Engine engine(bundle_, options_);
  const FolderReport report = run_folder(engine, folder_options);
  EXPECT_EQ(report.done, 2);
  EXPECT_EQ(report.failed, 1);
  EXPECT_TRUE(npz::is_segs_file(folder_.path("out/3DBox_a.npz")));
  EXPECT_TRUE(npz::is_segs_file(folder_.path("out/3DBox_c.npz")));
  EXPECT_EQ(files_in(folder_.path("out")), 2) << "nothing half, no temporary";
}

TEST_F(Faults, AFullDiskLeavesNoHalfEntry) {
  if (!testing::kPosix) GTEST_SKIP() << testing::kNoPosix;
  std::string logged;
  const CacheFolder cache(folder_.path("cache"), [&](const std::string& text) { logged = text; });
  {
    const FileSizeLimit limit(16);
    cache.write("verified/a", "a stamp of more than sixteen bytes");
  }
  EXPECT_NE(logged.find("could not be written"), std::string::npos) << logged;
  EXPECT_EQ(files_in(folder_.path("cache/verified")), 0);
  cache.write("verified/a", "a stamp of more than sixteen bytes");
  EXPECT_EQ(cache.read("verified/a"), "a stamp of more than sixteen bytes");
}

TEST_F(Faults, AFullDiskCostsTheCacheNotTheAnswer) {
  if (!testing::kPosix) GTEST_SKIP() << testing::kNoPosix;
  options_.embedding_store = folder_.path("store");
  std::vector<std::uint16_t> labels, expected;
  {
    EngineOptions plain = options_;
    plain.cache_dir = "none";
    plain.embedding_store.clear();
    Engine(bundle_, plain).segment(image(), {{3, 4, 40, 30}}, view(expected));
  }
  {
    const Engine engine(bundle_, options_);
    const FileSizeLimit limit(16);  // from here on: it counts for the memory files of a load too, which a disk does not
    engine.segment(image(), {{3, 4, 40, 30}}, view(labels));
  }
  EXPECT_EQ(labels, expected);
  EXPECT_NE(logged_.find("could not be written"), std::string::npos) << logged_;
  EXPECT_EQ(files_in(folder_.path("store")), 0) << "no half embedding";
  Engine(bundle_, options_).segment(image(), {{3, 4, 40, 30}}, view(labels));
  EXPECT_EQ(labels, expected);
  EXPECT_EQ(files_in(folder_.path("store")), 1);
}

TEST_F(Faults, ACacheThatCannotBeReadIsAsIfItWereAbsent) {
  options_.embedding_store = folder_.path("store");
  std::vector<std::uint16_t> labels, expected;
  Engine(bundle_, options_).segment(image(), {{3, 4, 40, 30}}, view(expected));
  for (const char* folder : {"cache", "store"}) {  // in the place of each file a folder, which even root cannot read
    std::vector<fs::path> files;
    for (const auto& entry : fs::recursive_directory_iterator(folder_.path(folder))) {
      if (entry.is_regular_file()) files.push_back(entry.path());
    }
    EXPECT_FALSE(files.empty()) << folder;
    for (const fs::path& file : files) {
      fs::remove(file);
      fs::create_directory(file);
    }
  }
  Engine(bundle_, options_).segment(image(), {{3, 4, 40, 30}}, view(labels));
  EXPECT_EQ(labels, expected);
}

}  // namespace
}  // namespace medsam
