// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "base/cache_folder.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <stdexcept>

#include "support/tiny_bundle.hpp"

namespace medsam {
namespace {

TEST(CacheFolder, ReadsBackWhatWasWritten) {
  const testing::TemporaryFolder folder;
  const CacheFolder cache(folder.path("new/cache"), nullptr);
  ASSERT_TRUE(cache.usable());
  EXPECT_FALSE(cache.read("a/b").has_value());
  cache.write("a/b", [](const std::string& path) { testing::write_file(path, "content"); });
  EXPECT_EQ(cache.read("a/b"), "content");
}

TEST(CacheFolder, NoneStoresNothing) {
  const CacheFolder cache("none", nullptr);
  EXPECT_FALSE(cache.usable());
  EXPECT_EQ(cache.path("a"), "");
  cache.write("a", [](const std::string&) { FAIL() << "must not be asked to write"; });
  EXPECT_FALSE(cache.read("a").has_value());
}

TEST(CacheFolder, AFailedWriteLeavesTheOldEntryAndIsLogged) {
  const testing::TemporaryFolder folder;
  std::string logged;
  const CacheFolder cache(folder.path(), [&](const std::string& text) { logged = text; });
  cache.write("a", [](const std::string& path) { testing::write_file(path, "old"); });
  cache.write("a", [](const std::string& path) {
    testing::write_file(path, "half");
    throw std::runtime_error("disk full?");
  });
  EXPECT_EQ(cache.read("a"), "old");
  EXPECT_NE(logged.find("disk full?"), std::string::npos) << logged;
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) files += entry.is_regular_file();
  EXPECT_EQ(files, 1u) << "a temporary file was left behind";
}

TEST(CacheFolder, AnUnusableFolderIsReportedAndDoneWithout) {
  const testing::TemporaryFolder folder;
  testing::write_file(folder.path("file"), "");
  std::string logged;
  const CacheFolder cache(folder.path("file/below"), [&](const std::string& text) { logged = text; });
  EXPECT_FALSE(cache.usable());
  EXPECT_NE(logged.find("cannot be written"), std::string::npos) << logged;
}

}  // namespace
}  // namespace medsam
