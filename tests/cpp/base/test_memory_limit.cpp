// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The limits of control groups, from files as the kernel has them.
#include "base/memory_limit.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <limits>

#include "medsam/folder.hpp"
#include "support/tiny_bundle.hpp"

namespace medsam {
namespace {

constexpr std::uint64_t kNone = std::numeric_limits<std::uint64_t>::max();

class ControlGroups : public ::testing::Test {
 protected:
  void put(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(folder_.path(path)).parent_path());
    testing::write_file(folder_.path(path), text);
  }
  std::uint64_t limit() const { return control_group_limit(folder_.path("proc"), folder_.path("groups")); }

  testing::TemporaryFolder folder_;
};

TEST_F(ControlGroups, NoneSaysNothing) {
  EXPECT_EQ(limit(), kNone);
  put("proc/self/cgroup", "garbage\n0::\n:\n");
  EXPECT_EQ(limit(), kNone);
}

TEST_F(ControlGroups, Version2TakesTheLeastOfTheGroupAndThoseAbove) {
  put("proc/self/cgroup", "0::/user.slice/session.scope\n");
  put("groups/user.slice/session.scope/memory.max", "max\n");
  EXPECT_EQ(limit(), kNone);
  put("groups/user.slice/memory.max", "5000000000\n");
  EXPECT_EQ(limit(), 5000000000U);
  put("groups/memory.max", "4000000000\n");
  EXPECT_EQ(limit(), 4000000000U);
}

TEST_F(ControlGroups, Version1ReadsTheMemoryController) {
  put("proc/self/cgroup", "5:cpu,cpuacct:/a\n4:memory:/a/b\n");
  put("groups/memory/a/b/memory.limit_in_bytes", "9223372036854771712\n");
  put("groups/memory/a/memory.limit_in_bytes", "2147483648\n");
  EXPECT_EQ(limit(), 2147483648U);
}

TEST_F(ControlGroups, AContainerSeesItsRootOnly) {
  put("proc/self/cgroup", "0::/docker/0123456789abcdef\n");
  put("groups/memory.max", "1073741824\n");
  EXPECT_EQ(limit(), 1073741824U);
}

TEST(DefaultMaxBytes, IsAQuarterOfWhatMayBeUsed) { EXPECT_EQ(default_max_bytes(), usable_memory() / 4); }

}  // namespace
}  // namespace medsam
