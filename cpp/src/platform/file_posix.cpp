// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "platform/file.hpp"

#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef __APPLE__
#include <sys/param.h>
#endif

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <filesystem>

namespace medsam::platform {

namespace {

std::error_code last_error() { return {errno, std::generic_category()}; }

int number(const File& file) { return static_cast<int>(file.handle()); }

File opened(const char* path, int flags, ::mode_t mode, std::error_code& error) {
  File file(::open(path, flags | O_CLOEXEC, mode));
  error = file ? std::error_code() : last_error();
  return file;
}

std::string text(const timespec& time) { return std::to_string(time.tv_sec) + "." + std::to_string(time.tv_nsec); }

#ifdef __APPLE__
const timespec& modified(const struct stat& status) { return status.st_mtimespec; }
const timespec& changed(const struct stat& status) { return status.st_ctimespec; }
#else
const timespec& modified(const struct stat& status) { return status.st_mtim; }
const timespec& changed(const struct stat& status) { return status.st_ctim; }
std::string by_descriptor(const File& file) { return "/proc/self/fd/" + std::to_string(number(file)); }
#endif

/// While one lives, a write beyond the limit of a file's size (RLIMIT_FSIZE) is EFBIG for the thread that makes it, and
/// nothing else: SIGXFSZ ends a host that does not ignore it.
class SizeSignalHeld {
 public:
  SizeSignalHeld() {
    sigemptyset(&signal_);  // these three are macros on macOS
    sigaddset(&signal_, SIGXFSZ);
    was_pending_ = pending();
    ::pthread_sigmask(SIG_BLOCK, &signal_, &before_);
  }
  ~SizeSignalHeld() {
    if (!was_pending_ && pending()) take();
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  SizeSignalHeld(const SizeSignalHeld&) = delete;
  SizeSignalHeld& operator=(const SizeSignalHeld&) = delete;

 private:
  static bool pending() {
    ::sigset_t signals;
    return ::sigpending(&signals) == 0 && sigismember(&signals, SIGXFSZ) == 1;
  }
  void take() const {
#ifdef __APPLE__
    int taken = 0;
    ::sigwait(&signal_, &taken);
#else
    const timespec at_once{};
    ::sigtimedwait(&signal_, nullptr, &at_once);
#endif
  }

  ::sigset_t signal_{}, before_{};
  bool was_pending_ = false;
};

}  // namespace

void File::close() {
  if (handle_ != kNone) ::close(static_cast<int>(std::exchange(handle_, kNone)));
}

// O_NONBLOCK: opening a FIFO would wait for its writer.
File open_file(const std::string& path, Opening how, std::error_code& error) {
  switch (how) {
    case Opening::read:
      return opened(path.c_str(), O_RDONLY | O_NONBLOCK, 0, error);
    case Opening::read_no_link:
      return opened(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0, error);
    case Opening::change_no_link:
      return opened(path.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK, 0, error);
    case Opening::write_anew:
      return opened(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666, error);
    case Opening::create:
      return opened(path.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0666, error);
    case Opening::create_own:
      return opened(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, S_IRUSR | S_IWUSR, error);
  }
  error = std::make_error_code(std::errc::invalid_argument);
  return {};
}

#ifdef __APPLE__

File name_file(const std::string& path, std::error_code& error) {
  return opened(path.c_str(), O_EVTONLY | O_NONBLOCK, 0, error);
}

std::string real_path(const File& named, std::error_code& error) {
  char path[MAXPATHLEN];
  const bool known = ::fcntl(number(named), F_GETPATH, path) == 0;
  error = known ? std::error_code() : last_error();
  return known ? path : "";
}

#else

#ifdef __EMSCRIPTEN__  // its links below /proc can be read, and not followed
constexpr int kNaming = O_RDONLY;
#else
constexpr int kNaming = O_PATH;
#endif

File name_file(const std::string& path, std::error_code& error) { return opened(path.c_str(), kNaming, 0, error); }

std::string real_path(const File& named, std::error_code& error) {
  return std::filesystem::read_symlink(by_descriptor(named), error).string();
}

#endif

#if defined(__APPLE__) || defined(__EMSCRIPTEN__)

File reopen_to_read(const File& named, std::error_code& error) {
  const std::string path = real_path(named, error);
  if (error) return {};
  struct stat wanted {
  }, got{};
  File file = opened(path.c_str(), O_RDONLY | O_NONBLOCK, 0, error);
  if (!file) return {};
  if (::fstat(number(named), &wanted) != 0 || ::fstat(number(file), &got) != 0) {
    error = last_error();
    return {};
  }
  if (wanted.st_dev == got.st_dev && wanted.st_ino == got.st_ino) return file;
  error = std::make_error_code(std::errc::no_such_file_or_directory);  // the name stands for another by now
  return {};
}

#else

File reopen_to_read(const File& named, std::error_code& error) {
  return opened(by_descriptor(named).c_str(), O_RDONLY, 0, error);
}

#endif

std::optional<FileId> id_of(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  return FileId{static_cast<std::uint64_t>(status.st_dev), 0, static_cast<std::uint64_t>(status.st_ino)};
}

FileStatus status_of(const File& file, std::error_code& error) {
  struct stat status {};
  if (::fstat(number(file), &status) != 0) {
    error = last_error();
    return {};
  }
  error.clear();
  return {S_ISREG(status.st_mode), static_cast<std::uint64_t>(status.st_size),
          static_cast<std::uint64_t>(status.st_nlink), static_cast<std::int64_t>(status.st_mtime)};
}

std::string change_stamp(const File& file) {
  struct stat status {};
  if (::fstat(number(file), &status) != 0) return "";
  return std::to_string(status.st_size) + " " + text(modified(status)) + " " + text(changed(status)) + " " +
         std::to_string(status.st_dev) + " " + std::to_string(status.st_ino);
}

std::string foreign_owner(const File& file) {
  struct stat status {};
  if (::fstat(number(file), &status) != 0) return "unknown owner";
  return status.st_uid == ::geteuid() ? "" : "user " + std::to_string(status.st_uid);
}

std::size_t read_at(const File& file, void* out, std::size_t count, std::uint64_t offset, std::error_code& error) {
  constexpr std::size_t kMost = std::size_t{1} << 30;  // one call reads less than 2 GiB on Linux
  std::size_t done = 0;
  error.clear();
  while (done < count) {
    const ::ssize_t got = ::pread(number(file), static_cast<char*>(out) + done, std::min(count - done, kMost),
                                  static_cast<::off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) error = last_error();
    if (got <= 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

std::error_code write_all(const File& file, const void* data, std::size_t size) {
  constexpr std::size_t kMost = std::size_t{1} << 30;  // one call writes less than 2 GiB on Linux
  const SizeSignalHeld held;
  for (const auto* at = static_cast<const char*>(data); size > 0;) {
    const ::ssize_t written = ::write(number(file), at, std::min(size, kMost));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return last_error();
    if (written == 0) return std::make_error_code(std::errc::no_space_on_device);
    at += written;
    size -= static_cast<std::size_t>(written);
  }
  return {};
}

std::error_code flush(const File& file) {
#ifdef F_FULLFSYNC
  if (::fcntl(number(file), F_FULLFSYNC) == 0) return {};  // fsync stops at the drive's own cache on macOS
#endif
  return ::fsync(number(file)) == 0 ? std::error_code() : last_error();
}

// A network file system may say only at a close that the disk is full. A second descriptor shares the lock.
std::error_code check_close(const File& file) {
  const int second = ::fcntl(number(file), F_DUPFD_CLOEXEC, 0);  // a program that is started just now gets none
  return second < 0 || ::close(second) != 0 ? last_error() : std::error_code();
}

std::error_code take_mode_of(const File& file, const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0 || (status.st_mode & 0777) == 0666) return {};
  // Some file systems have none.
  return ::fchmod(number(file), status.st_mode & 0777) != 0 && errno != EPERM ? last_error() : std::error_code();
}

Lock try_lock(const File& file) {
  if (::flock(number(file), LOCK_EX | LOCK_NB) == 0) return Lock::taken;
  return errno == EWOULDBLOCK ? Lock::elsewhere : Lock::none;
}

std::error_code rename_over(const std::string& from, const std::string& to) {
  return std::rename(from.c_str(), to.c_str()) == 0 ? std::error_code() : last_error();
}

std::error_code remove_file(const std::string& path) noexcept {
  return ::unlink(path.c_str()) == 0 ? std::error_code() : last_error();
}

}  // namespace medsam::platform
