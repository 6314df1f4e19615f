// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "base/whole_file.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>

#include "support/file_size_limit.hpp"
#include "support/system.hpp"
#include "support/tiny_bundle.hpp"

namespace medsam {
namespace {

namespace fs = std::filesystem;
using testing::mode_of;
using testing::TemporaryFolder;

constexpr FileUse kUses[] = {FileUse::cache, FileUse::output};

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::ptrdiff_t entries(const TemporaryFolder& folder) {
  return std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator());
}

void write(const std::string& target, FileUse use, const std::string& content) {
  WholeFile file(target, use);
  file.write(content);
  file.commit();
}

// The code of what writing throws; 0 when it throws nothing.
int error_of(const std::string& target, FileUse use, const std::string& content) {
  try {
    write(target, use, content);
  } catch (const std::system_error& e) {
    EXPECT_EQ(e.code().category(), std::generic_category());
    return e.code().value();
  }
  return 0;
}

TEST(WholeFile, TheTargetIsThereOnlyOnceItIsCommitted) {
  for (const FileUse use : kUses) {
    const TemporaryFolder folder;
    testing::write_file(folder.path("a"), "before");
    {
      WholeFile file(folder.path("a"), use);
      file.write("aft");
      file.write("er");
      EXPECT_EQ(content_of(folder.path("a")), "before");
      EXPECT_EQ(content_of(file.path()), "after");
      file.commit();
    }
    EXPECT_EQ(content_of(folder.path("a")), "after");
    EXPECT_EQ(entries(folder), 1);
  }
}

TEST(WholeFile, WhatIsNotCommittedLeavesNothingBehind) {
  for (const FileUse use : kUses) {
    const TemporaryFolder folder;
    testing::write_file(folder.path("a"), "before");
    { WholeFile(folder.path("a"), use).write("after"); }
    EXPECT_EQ(content_of(folder.path("a")), "before");
    EXPECT_EQ(entries(folder), 1);
  }
}

TEST(WholeFile, AFailureSaysWhyAndLeavesWhatWasThere) {
  if (!testing::kPosix) GTEST_SKIP() << testing::kNoPosix;
  for (const FileUse use : kUses) {
    const TemporaryFolder folder;
    testing::write_file(folder.path("a"), "before");
    {
      const testing::FileSizeLimit full(3);
      EXPECT_EQ(error_of(folder.path("a"), use, "after"), EFBIG);
    }
    EXPECT_EQ(content_of(folder.path("a")), "before");
    fs::create_directory(folder.path("b"));
    EXPECT_EQ(error_of(folder.path("b"), use, "after"), EISDIR);  // at the rename
    EXPECT_EQ(error_of(folder.path("none/a"), use, "after"), ENOENT);
    EXPECT_EQ(entries(folder), 2);
  }
}

TEST(WholeFile, ALinkAtTheTargetIsReplacedAndNotFollowed) {
  for (const FileUse use : kUses) {
    const TemporaryFolder folder;
    testing::write_file(folder.path("victim"), "precious");
    if (!testing::make_link(folder.path("victim"), folder.path("a"))) GTEST_SKIP() << "no links";
    write(folder.path("a"), use, "content");
    EXPECT_EQ(content_of(folder.path("victim")), "precious");
    EXPECT_FALSE(fs::is_symlink(folder.path("a")));
    EXPECT_EQ(content_of(folder.path("a")), "content");
  }
}

#ifndef _WIN32  // where there is no umask

TEST(WholeFile, OfACacheIsTheUsersAloneWhateverWasThereAndWhateverTheUmaskAllows) {
  const TemporaryFolder folder;
  const ::mode_t before = ::umask(0);
  testing::write_file(folder.path("a"), "open to all");
  write(folder.path("a"), FileUse::cache, "private");
  ::umask(before);
  EXPECT_EQ(mode_of(folder.path("a")), 0600U);
}

TEST(WholeFile, OfAnOutputHasTheModeOfTheUmaskOrOfTheFileThatItReplaces) {
  const TemporaryFolder folder;
  const ::mode_t before = ::umask(027);
  write(folder.path("a"), FileUse::output, "one");
  EXPECT_EQ(mode_of(folder.path("a")), 0640U);
  ASSERT_EQ(::chmod(folder.path("a").c_str(), 0600), 0);
  ::umask(0);
  write(folder.path("a"), FileUse::output, "two");
  EXPECT_EQ(mode_of(folder.path("a")), 0600U);
  ::umask(before);
}

#endif

TEST(WholeFile, TheTemporaryOfAnOutputIsHiddenAndLockedUntilItHasItsName) {
  const TemporaryFolder folder;
  WholeFile file(folder.path("a.npz"), FileUse::output);
  const std::string name = fs::path(file.path()).filename().string();
  EXPECT_TRUE(name.starts_with(".a.npz.")) << name;
  EXPECT_TRUE(name.ends_with(kTemporarySuffix)) << name;
  std::error_code error;
  const platform::File other = platform::open_file(file.path(), platform::Opening::read, error);
  EXPECT_EQ(platform::try_lock(other), platform::Lock::elsewhere);
  file.commit();
  EXPECT_EQ(platform::try_lock(other), platform::Lock::elsewhere)
      << "still: nobody may take it for abandoned in between";
}

}  // namespace
}  // namespace medsam
