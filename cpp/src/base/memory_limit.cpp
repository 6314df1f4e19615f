// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "base/memory_limit.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <fstream>
#include <limits>
#include <string>

#include "base/edge.hpp"
#include "medsam/folder.hpp"
#include "platform/memory.hpp"
#include "platform/path.hpp"

namespace medsam {

namespace {

constexpr std::uint64_t kNone = std::numeric_limits<std::uint64_t>::max();

std::uint64_t number_in(const std::string& path) {
  std::ifstream file(platform::disk_path(path));
  std::string word;
  file >> word;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  // Version 2 writes "max" where there is no limit; version 1 a number near 2^63, which the minimum leaves out.
  return error == std::errc() && end == word.data() + word.size() && !word.empty() ? value : kNone;
}

/// The least number in `name` of `group` and of every group above it. In a container the group's own folder may be the
/// root, so that the path does not exist; the root is then all there is to see.
std::uint64_t least_upwards(const std::string& root, std::string group, const std::string& name) {
  std::uint64_t least = kNone;
  for (;;) {
    const std::size_t last = group.find_last_not_of('/');
    group.resize(last == std::string::npos ? 0 : last + 1);
    std::string path = root;
    path.append(group).append("/").append(name);
    least = std::min(least, number_in(path));
    if (group.empty()) return least;
    const std::size_t slash = group.rfind('/');
    group.resize(slash == std::string::npos ? 0 : slash);
  }
}

}  // namespace

std::uint64_t control_group_limit(const std::string& proc, const std::string& groups) {
  std::uint64_t least = kNone;
  std::ifstream file(platform::disk_path(proc + "/self/cgroup"));
  for (std::string line; std::getline(file, line);) {
    // "4:memory:/path" in version 1, "0::/path" in version 2.
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const std::string group = line.substr(second + 1);
    if (controllers == ",,") least = std::min(least, least_upwards(groups, group, "memory.max"));
    if (controllers.find(",memory,") != std::string::npos) {
      least = std::min(least, least_upwards(groups + "/memory", group, "memory.limit_in_bytes"));
    }
  }
  return least;
}

std::uint64_t usable_memory() {
  // Elsewhere the files' names are anybody's: on Windows, of folders that any user can make.
  std::uint64_t least = platform::has_control_groups() ? control_group_limit() : kNone;
  if (const std::uint64_t physical = platform::physical_memory(); physical > 0) least = std::min(least, physical);
  return std::min(least, platform::address_space_limit());
}

std::uint64_t default_max_bytes() {
  // Reading and segmenting take up to about four times the decoded bytes: those of the file, the values in the engine's
  // type, and the labels (docs/medical_files.md has the figures).
  return at_edge("default_max_bytes", [] { return std::max<std::uint64_t>(1, usable_memory() / 4); });
}

}  // namespace medsam
