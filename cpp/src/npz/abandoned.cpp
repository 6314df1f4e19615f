// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <filesystem>
#include <system_error>

#ifdef __linux__
#include <sys/vfs.h>
#endif

#include "base/whole_file.hpp"
#include "npz/output_file.hpp"

namespace medsam::npz {

namespace fs = std::filesystem;

namespace {

constexpr std::time_t kAbandonedAfter = std::time_t{6} * 3600;

/// ".NAME.PID-COUNT@HOST.tmp": what version 0.1.0 wrote, without a lock.
bool is_older_kind(const std::string& name) { return name.find('@') != std::string::npos && name.ends_with(".tmp"); }

bool is_temporary(const std::string& name) {
  return name.starts_with(".") && (name.ends_with(kTemporarySuffix) || is_older_kind(name));
}

/// Whether every process that can see the folder sees the same locks. Unknown file systems are not local.
bool is_local([[maybe_unused]] const std::string& folder) {
#ifdef __linux__
  // ext2 to 4, XFS, Btrfs, tmpfs, ramfs, overlayfs, ZFS, F2FS, bcachefs (statfs(2), linux/magic.h).
  constexpr std::array<unsigned long, 9> kLocal = {0xef53,     0x58465342, 0x9123683e, 0x01021994, 0x858458f6,
                                                   0x794c7630, 0x2fc12fc1, 0xf2f52010, 0xca451a4e};
  struct statfs status {};
  if (::statfs(folder.c_str(), &status) != 0) return false;
  const auto type = static_cast<unsigned long>(status.f_type) & 0xffffffffUL;
  return std::find(kLocal.begin(), kLocal.end(), type) != kLocal.end();
#else
  return false;
#endif
}

/// The file server's clock: the time that it gives to a new file. 0, at which nothing is old, where it gives none.
std::time_t clock_of(const std::string& folder) {
  try {
    WholeFile probe(fs::path(folder) / "clock", FileUse::output);
    probe.write("x");
    struct stat status {};
    const bool known = ::fsync(probe.descriptor()) == 0 && ::fstat(probe.descriptor(), &status) == 0;
    return known ? status.st_mtime : 0;
  } catch (const std::system_error&) {
    return 0;
  }
}

class Sweep {
 public:
  Sweep(const std::string& folder, Abandoned rule)
      : folder_(folder),
        lock_decides_(rule == Abandoned::by_lock || (rule == Abandoned::by_disk && is_local(folder))) {}

  void remove_if_abandoned(const fs::path& path) {
    const int descriptor = ::open(path.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (descriptor < 0) return;
    // The lock is kept until the file is gone: a writer that comes just now finds it taken and makes another.
    if (abandoned(descriptor, path.filename().string())) ::unlink(path.c_str());
    ::close(descriptor);
  }

 private:
  bool abandoned(int descriptor, const std::string& name) {
    struct stat status {};
    if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) return false;
    const bool locked = ::flock(descriptor, LOCK_EX | LOCK_NB) == 0;
    if (!locked && errno == EWOULDBLOCK) return false;
    if (locked && lock_decides_ && !is_older_kind(name)) return true;
    if (now_ == 0) now_ = clock_of(folder_);
    return now_ - status.st_mtime >= kAbandonedAfter;
  }

  const std::string& folder_;
  bool lock_decides_;
  std::time_t now_ = 0;  // asked when it is needed
};

}  // namespace

void remove_abandoned_temporaries(const std::string& folder, Abandoned rule) {
  Sweep sweep(folder, rule);
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (is_temporary(it->path().filename().string())) sweep.remove_if_abandoned(it->path());
  }
}

}  // namespace medsam::npz
