// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include <cstdint>
#include <filesystem>
#include <system_error>

#include "base/whole_file.hpp"
#include "npz/output_file.hpp"
#include "platform/file.hpp"
#include "platform/folder.hpp"
#include "platform/path.hpp"

namespace medsam::npz {

namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kAbandonedAfter = std::int64_t{6} * 3600;  // seconds

/// ".NAME.PID-COUNT@HOST.tmp": what version 0.1.0 wrote, without a lock.
bool is_older_kind(const std::string& name) { return name.find('@') != std::string::npos && name.ends_with(".tmp"); }

bool is_temporary(const std::string& name) {
  return name.starts_with(".") && (name.ends_with(kTemporarySuffix) || is_older_kind(name));
}

/// The file server's clock: the time that it gives to a new file. 0, at which nothing is old, where it gives none.
std::int64_t clock_of(const std::string& folder) {
  try {
    WholeFile probe(folder + "/clock", FileUse::output);
    probe.write("x");
    if (platform::flush(probe.file())) return 0;
    std::error_code error;
    return platform::status_of(probe.file(), error).modified;
  } catch (const std::system_error&) {
    return 0;
  }
}

class Sweep {
 public:
  Sweep(const std::string& folder, Abandoned rule)
      : folder_(folder),
        lock_decides_(rule == Abandoned::by_lock ||
                      (rule == Abandoned::by_disk && platform::is_on_local_disk(folder))) {}

  void remove_if_abandoned(const std::string& name) {
    std::error_code error;
    const platform::File file = platform::open_file(name, platform::Opening::change_no_link, error);
    // The lock is kept until the file is gone: a writer that comes just now finds it taken and makes another.
    if (file && abandoned(file, platform::file_name(name))) {
      [[maybe_unused]] const std::error_code ignored = platform::remove_file(name);  // a later sweep tries again
    }
  }

 private:
  bool abandoned(const platform::File& file, const std::string& name) {
    std::error_code error;
    const platform::FileStatus status = platform::status_of(file, error);
    if (error || !status.regular) return false;
    const platform::Lock lock = platform::try_lock(file);
    if (lock == platform::Lock::elsewhere) return false;
    if (lock == platform::Lock::taken && lock_decides_ && !is_older_kind(name)) return true;
    if (now_ == 0) now_ = clock_of(folder_);
    return now_ - status.modified >= kAbandonedAfter;
  }

  const std::string& folder_;
  bool lock_decides_;
  std::int64_t now_ = 0;  // asked when it is needed
};

}  // namespace

void remove_abandoned_temporaries(const std::string& folder, Abandoned rule) {
  Sweep sweep(folder, rule);
  std::error_code error;
  for (fs::directory_iterator it(platform::disk_path(folder), error), end; !error && it != end; it.increment(error)) {
    if (is_temporary(platform::name_of(it->path().filename())))
      sweep.remove_if_abandoned(platform::name_of(it->path()));
  }
}

}  // namespace medsam::npz
