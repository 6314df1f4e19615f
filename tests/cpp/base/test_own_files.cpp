// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "base/own_files.hpp"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/cache_folder.hpp"
#include "platform/process.hpp"
#include "support/system.hpp"
#include "support/tiny_bundle.hpp"

namespace medsam {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kLimit = 1 << 20;

std::string content_of(const OwnFile& file) {
  std::string content;
  return file.file && read_own_file(file, content) ? content : "(not read)";
}

TEST(OwnFiles, ARegularFileOfTheUserIsRead) {
  const testing::TemporaryFolder folder;
  testing::write_file(folder.path("a"), "content");
  const OwnFile file = open_own_file(folder.path("a"), 7);
  EXPECT_EQ(file.fault, "");
  EXPECT_EQ(file.size, 7u);
  EXPECT_EQ(content_of(file), "content");
  const OwnFile none = open_own_file(folder.path("b"), 7);
  EXPECT_FALSE(none.file);
  EXPECT_EQ(none.fault, "") << "what is not there is nothing to report";
}

TEST(OwnFiles, NothingElseIsOpened) {
  const testing::TemporaryFolder folder;
  testing::write_file(folder.path("file"), "content");
  if (!testing::make_link(folder.path("file"), folder.path("link"))) GTEST_SKIP() << "no links";
  if (!testing::make_fifo(folder.path("fifo"))) GTEST_SKIP() << "no FIFOs";
  const auto fault = [&](const char* name) { return open_own_file(folder.path(name), kLimit).fault; };
  EXPECT_NE(fault("link").find("got a link"), std::string::npos);
  EXPECT_NE(fault("fifo").find("no regular file"), std::string::npos);
  EXPECT_NE(fault("").find("no regular file"), std::string::npos) << "a folder";
  EXPECT_NE(open_own_file("/dev/zero", kLimit).fault.find("no regular file"), std::string::npos);
  EXPECT_NE(open_own_file(folder.path("file"), 6).fault.find("got 7 bytes, expected at most 6"), std::string::npos);
}

#ifndef _WIN32
TEST(OwnFiles, AFileOfSomebodyElseIsNotOpened) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
  const testing::TemporaryFolder folder;
  testing::write_file(folder.path("a"), "content");
  ASSERT_EQ(::chown(folder.path("a").c_str(), 12345, 12345), 0);
  EXPECT_EQ(open_own_file(folder.path("a"), kLimit).fault, "got a file of user 12345, expected one of your own");
  ASSERT_EQ(::chown(folder.path().c_str(), 12345, 12345), 0);
  EXPECT_EQ(fault_of_own_folder(folder.path()), "belongs to user 12345, not to you");
}
#endif

TEST(OwnFiles, CreatingDoesNotFollowWhatLiesThere) {
  const testing::TemporaryFolder folder;
  testing::write_file(folder.path("victim"), "precious");
  if (!testing::make_link(folder.path("victim"), folder.path("a"))) GTEST_SKIP() << "no links";
  std::error_code error;
  EXPECT_FALSE(platform::open_file(folder.path("a"), platform::Opening::create_own, error));
  EXPECT_EQ(error, std::errc::file_exists);
  EXPECT_EQ(content_of(open_own_file(folder.path("victim"), kLimit)), "precious");
  const platform::File file = platform::open_file(folder.path("b"), platform::Opening::create_own, error);
  ASSERT_TRUE(file);
  EXPECT_FALSE(platform::write_all(file, "12345", 5));
  EXPECT_EQ(fs::status(folder.path("b")).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_EQ(content_of(open_own_file(folder.path("b"), kLimit)), "12345");
}

TEST(OwnFiles, AFolderThatOthersMayWriteToIsNotUsed) {
  if (!testing::kPosix) GTEST_SKIP() << testing::kNoPosix;
  const testing::TemporaryFolder folder;
  EXPECT_EQ(fault_of_own_folder(folder.path("new/one")), "");
  EXPECT_EQ(fs::status(folder.path("new/one")).permissions(), fs::perms::owner_all);
  fs::permissions(folder.path("new/one"), fs::perms::all);
  EXPECT_NE(fault_of_own_folder(folder.path("new/one")).find("chmod go-w"), std::string::npos);
  testing::write_file(folder.path("file"), "");
  EXPECT_EQ(fault_of_own_folder(folder.path("file")), "is no folder");
}

// The names of temporaries can be told in advance: links that wait there lead nowhere.
TEST(OwnFiles, ACacheEntryIsNotWrittenThroughALinkThatWaitsForIt) {
  const testing::TemporaryFolder folder;
  const CacheFolder cache(folder.path("cache"), nullptr);
  testing::write_file(folder.path("victim"), "precious");
  for (int i = 0; i < 64; ++i) {
    const std::string name = "cache/a.tmp-" + std::to_string(platform::process_id()) + "-" + std::to_string(i);
    if (!testing::make_link(folder.path("victim"), folder.path(name))) GTEST_SKIP() << "no links";
  }
  ASSERT_TRUE(testing::make_link(folder.path("victim"), folder.path("cache/a")));
  cache.write("a", "content");
  EXPECT_EQ(cache.read("a"), "content");
  EXPECT_EQ(content_of(open_own_file(folder.path("victim"), kLimit)), "precious");
}

TEST(OwnFiles, ARelativeXdgCacheHomeIsIgnored) {
  if (!testing::kPosix) GTEST_SKIP() << testing::kNoPosix;
  const testing::TemporaryFolder folder;
  const char* names[] = {"MEDSAM_ENGINE_CACHE", "XDG_CACHE_HOME", "HOME"};
  std::string before[3];
  for (int i = 0; i < 3; ++i) before[i] = std::getenv(names[i]) != nullptr ? std::getenv(names[i]) : "";
  testing::unset_environment("MEDSAM_ENGINE_CACHE");
  testing::set_environment("XDG_CACHE_HOME", "relative");
  testing::set_environment("HOME", folder.path());
  const std::string path = CacheFolder("", nullptr).path("a");
  for (int i = 0; i < 3; ++i) {
    if (before[i].empty()) {
      testing::unset_environment(names[i]);
    } else {
      testing::set_environment(names[i], before[i]);
    }
  }
  EXPECT_EQ(fs::path(path).lexically_normal(), fs::path(folder.path(".cache/medsam-engine/a")).lexically_normal());
}

}  // namespace
}  // namespace medsam
