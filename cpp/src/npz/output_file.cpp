// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "npz/output_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <filesystem>
#include <system_error>

#include "medsam/error.hpp"

namespace medsam::npz {

namespace fs = std::filesystem;

namespace {

const char* const kSuffix = ".tmp";

std::string host_name() {
  char name[256] = {};
  if (::gethostname(name, sizeof name - 1) != 0) return "host";
  return name;
}

/// ".NAME.PID-COUNT@HOST.tmp": hidden from *.npz, and says whose it is.
std::string temporary_name(const std::string& name) {
  static std::atomic<unsigned> counter{0};
  return "." + name + "." + std::to_string(::getpid()) + "-" + std::to_string(counter.fetch_add(1)) + "@" +
         host_name() + kSuffix;
}

/// The process that `name` belongs to, or 0 when it is no temporary of this machine.
::pid_t owner(const std::string& name, const std::string& host_suffix) {
  if (!name.starts_with(".") || !name.ends_with(host_suffix)) return 0;
  const std::string rest = name.substr(0, name.size() - host_suffix.size());
  const std::size_t dot = rest.rfind('.'), dash = rest.rfind('-');
  if (dot == std::string::npos || dash == std::string::npos || dash < dot) return 0;
  ::pid_t pid = 0;
  const auto [end, error] = std::from_chars(rest.data() + dot + 1, rest.data() + dash, pid);
  return error == std::errc() && end == rest.data() + dash && pid > 0 ? pid : 0;
}

class TemporaryFile {
 public:
  explicit TemporaryFile(const fs::path& target)
      : target_(target), path_(target.parent_path() / temporary_name(target.filename().string())) {
    descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor_ < 0) fail();
  }
  ~TemporaryFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
    if (!renamed_) ::unlink(path_.c_str());
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  void write(std::string_view bytes) {
    constexpr std::size_t kMost = std::size_t{1} << 30;  // one call writes less than 2 GiB on Linux
    while (!bytes.empty()) {
      const ::ssize_t wrote = ::write(descriptor_, bytes.data(), std::min(bytes.size(), kMost));
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote <= 0) fail();
      bytes.remove_prefix(static_cast<std::size_t>(wrote));
    }
  }

  void finish() {
    // Before the rename, or a power cut could leave the name without the content. A file system without fsync says
    // EINVAL.
    if (::fsync(descriptor_) != 0 && errno != EINVAL) fail();
    const int closed = ::close(descriptor_);
    descriptor_ = -1;
    if (closed != 0) fail();
    if (::rename(path_.c_str(), target_.c_str()) != 0) fail();
    renamed_ = true;
  }

 private:
  [[noreturn]] void fail() const {
    const std::string why = std::generic_category().message(errno);
    throw Unsupported("output: " + target_.filename().string() + " cannot be written (" + why +
                      "), expected a writable folder with room; make some or choose another");
  }

  fs::path target_, path_;
  int descriptor_ = -1;
  bool renamed_ = false;
};

}  // namespace

void write_file_atomically(const std::string& path, const std::vector<std::string_view>& pieces) {
  TemporaryFile file{fs::path(path)};
  for (const std::string_view piece : pieces) file.write(piece);
  file.finish();
}

void remove_abandoned_temporaries(const std::string& folder) {
  const std::string host_suffix = "@" + host_name() + kSuffix;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const ::pid_t pid = owner(it->path().filename().string(), host_suffix);
    if (pid == 0 || ::kill(pid, 0) == 0 || errno != ESRCH) continue;
    std::error_code gone;
    fs::remove(it->path(), gone);
  }
}

}  // namespace medsam::npz
