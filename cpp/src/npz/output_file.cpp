// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "npz/output_file.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include "medsam/error.hpp"
#include "npz/temporary.hpp"

namespace medsam::npz {

namespace fs = std::filesystem;

namespace {

class TemporaryFile {
 public:
  explicit TemporaryFile(const fs::path& target) : target_(target), file_(make_temporary(target)) {
    if (file_.descriptor < 0) fail();
  }
  ~TemporaryFile() {
    if (!renamed_) ::unlink(file_.path.c_str());
    ::close(file_.descriptor);  // last: it gives up the lock
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  void write(std::string_view bytes) {
    constexpr std::size_t kMost = std::size_t{1} << 30;  // one call writes less than 2 GiB on Linux
    while (!bytes.empty()) {
      const ::ssize_t wrote = ::write(file_.descriptor, bytes.data(), std::min(bytes.size(), kMost));
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote <= 0) fail();
      bytes.remove_prefix(static_cast<std::size_t>(wrote));
    }
  }

  void finish() {
    keep_mode_of_target();
    // Before the rename, or a power cut could leave the name without the content. A file system without fsync says
    // EINVAL.
    if (::fsync(file_.descriptor) != 0 && errno != EINVAL) fail();
    // A network file system may say only at a close that the disk is full. Of a second descriptor, which shares the
    // lock: until the file has its name, nobody may take it for abandoned.
    const int second = ::dup(file_.descriptor);
    if (second < 0 || ::close(second) != 0) fail();
    if (::rename(file_.path.c_str(), target_.c_str()) != 0) fail();
    renamed_ = true;
  }

 private:
  /// A file that is replaced keeps its mode: what its owner has made private stays so.
  void keep_mode_of_target() const {
    struct stat status {};
    if (::stat(target_.c_str(), &status) != 0 || (status.st_mode & 0777) == 0666) return;
    if (::fchmod(file_.descriptor, status.st_mode & 0777) != 0 && errno != EPERM) fail();  // none on some file systems
  }

  [[noreturn]] void fail() const {
    const std::string why = std::generic_category().message(errno);
    throw Unsupported("output: " + target_.filename().string() + " cannot be written (" + why +
                      "), expected a writable folder with room; make some or choose another");
  }

  fs::path target_;
  LockedTemporary file_;
  bool renamed_ = false;
};

}  // namespace

void write_file_atomically(const std::string& path, const std::vector<std::string_view>& pieces) {
  TemporaryFile file{fs::path(path)};
  for (const std::string_view piece : pieces) file.write(piece);
  file.finish();
}

}  // namespace medsam::npz
