// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// How much memory this process may use: the one place from which every limit on untrusted input is derived.
#pragma once

#include <cstdint>
#include <string>

namespace medsam {

/// Bytes: the least of physical memory, the limits of this process's control groups and RLIMIT_AS; UINT64_MAX when
/// nothing says.
std::uint64_t usable_memory();

/// The least limit of this process's memory control groups, versions 1 and 2, and of those above them; UINT64_MAX when
/// there is none. `proc` and `groups` are the roots of the two file systems, for tests.
std::uint64_t control_group_limit(const std::string& proc = "/proc", const std::string& groups = "/sys/fs/cgroup");

}  // namespace medsam
