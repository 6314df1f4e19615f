// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Open files as the system has them: what the standard library's streams do not say or do. Paths are UTF-8. What fails
// says why in a std::error_code that compares with std::errc.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

namespace medsam::platform {

/// An open file, closed at the end of its life.
class File {
 public:
  using Handle = std::intptr_t;  // a descriptor, or a HANDLE of Windows; -1 is no file on either
  static constexpr Handle kNone = -1;

  File() = default;
  explicit File(Handle handle) : handle_(handle) {}
  File(File&& other) noexcept : handle_(std::exchange(other.handle_, kNone)) {}
  File& operator=(File&& other) noexcept {
    if (this != &other) {
      close();
      handle_ = std::exchange(other.handle_, kNone);
    }
    return *this;
  }
  ~File() { close(); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  [[nodiscard]] Handle handle() const { return handle_; }
  [[nodiscard]] explicit operator bool() const { return handle_ != kNone; }
  void close();

 private:
  Handle handle_ = kNone;
};

enum class Opening : std::uint8_t {
  read,            ///< Links are followed, and nothing is waited for: a FIFO's writer, a device.
  read_no_link,    ///< The same, but a link is std::errc::too_many_symbolic_link_levels.
  change_no_link,  ///< The same, to be read, written and locked.
  write_anew,      ///< What is there loses its content; else a file of the usual mode.
  create,          ///< A file of the usual mode that was not there under whatever name, else std::errc::file_exists.
  create_own,      ///< The same, which this user alone may open.
};

/// None, and why, where it cannot be opened. Not inherited by programs that this process starts.
File open_file(const std::string& path, Opening how, std::error_code& error);

/// The file of a path, links followed, without opening what it holds: no device is touched. To be asked about.
File name_file(const std::string& path, std::error_code& error);
/// That very file, whatever its name stands for by now, open to be read.
File reopen_to_read(const File& named, std::error_code& error);
/// Where that file lies by the system's own account, links resolved. "" where the system does not say.
std::string real_path(const File& named, std::error_code& error);

/// A file among all of this machine; names that are links to it have the same.
struct FileId {
  std::uint64_t volume = 0, high = 0, low = 0;
  auto operator<=>(const FileId&) const = default;
};
/// Links are followed; nothing where there is no such file.
std::optional<FileId> id_of(const std::string& path);

struct FileStatus {
  bool regular = false;
  std::uint64_t size = 0;     // bytes
  std::uint64_t names = 0;    // 0: removed while it is open
  std::int64_t modified = 0;  // seconds since 1970, by the clock of whoever keeps the file
};
FileStatus status_of(const File& file, std::error_code& error);
/// A text that becomes another when the file is written to, or when another file takes its name: size, times and
/// identity. "" where the system does not say.
std::string change_stamp(const File& file);
/// "" when the file is this user's, else whose it is: "user 1000".
std::string foreign_owner(const File& file);

/// Reads up to `count` bytes at `offset`, as far as the file goes. Fewer than `count`, with no error, at its end.
std::size_t read_at(const File& file, void* out, std::size_t count, std::uint64_t offset, std::error_code& error);
/// Writes all of it, at the end of what was written before. std::errc::file_too_large beyond the limit of a file's
/// size, whether or not the host ignores SIGXFSZ.
std::error_code write_all(const File& file, const void* data, std::size_t size);
/// To the disk. std::errc::invalid_argument where the file system has no such thing.
std::error_code flush(const File& file);
/// What closing the file would say, which stays open, and locked.
std::error_code check_close(const File& file);
/// Gives `file` the permissions of the file at `path`, if there is one.
std::error_code take_mode_of(const File& file, const std::string& path);

enum class Lock : std::uint8_t {
  taken,
  elsewhere,  ///< Another open file has it, of this process or another.
  none,       ///< The file system has no locks.
};
/// An exclusive lock, held until the file is closed; not waited for.
Lock try_lock(const File& file);

/// Gives a file another name of the same folder, in place of what has that name; never half of one and half of the
/// other, whoever looks.
std::error_code rename_over(const std::string& from, const std::string& to);
/// Removes a name; what has the file open keeps it.
std::error_code remove_file(const std::string& path) noexcept;

}  // namespace medsam::platform
