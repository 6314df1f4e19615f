// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "npz/temporary.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <system_error>

#ifdef __linux__
#include <sys/vfs.h>
#endif

#include "base/random_name.hpp"
#include "npz/output_file.hpp"

namespace medsam::npz {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kLongestStem = 200;  // bytes; names may have 255
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
  const LockedTemporary probe = make_temporary(fs::path(folder) / "clock");
  if (probe.descriptor < 0) return 0;
  struct stat status {};
  const bool known = ::write(probe.descriptor, "x", 1) == 1 && ::fsync(probe.descriptor) == 0 &&
                     ::fstat(probe.descriptor, &status) == 0;
  ::unlink(probe.path.c_str());
  ::close(probe.descriptor);
  return known ? status.st_mtime : 0;
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

LockedTemporary make_temporary(const fs::path& target) {
  const std::string stem = "." + target.filename().string().substr(0, kLongestStem) + ".";
  for (int attempt = 0; attempt < 100; ++attempt) {
    const fs::path path = target.parent_path() / (stem + random_name() + kTemporarySuffix);
    const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor < 0) {
      if (errno == EEXIST) continue;
      return {};
    }
    const bool taken = ::flock(descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    struct stat status {};
    // Between the two calls a sweep may have found the file without a lock, and removed it.
    if (!taken && ::fstat(descriptor, &status) == 0 && status.st_nlink > 0) return {descriptor, path};
    ::unlink(path.c_str());
    ::close(descriptor);
  }
  errno = EBUSY;
  return {};
}

void remove_abandoned_temporaries(const std::string& folder, Abandoned rule) {
  Sweep sweep(folder, rule);
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (is_temporary(it->path().filename().string())) sweep.remove_if_abandoned(it->path());
  }
}

}  // namespace medsam::npz
