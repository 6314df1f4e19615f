// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Files that are there whole or not at all: a temporary in the folder of the target, then renamed. The one way in which
// this library writes a file under a name that somebody may read meanwhile.
#pragma once

#include <string>
#include <string_view>

#include "platform/file.hpp"

namespace medsam {

/// What every temporary of FileUse::output ends in, here and in the Python package's.
inline constexpr const char* kTemporarySuffix = ".medsam-tmp";

/// What a file is for, and with it what its writing promises.
enum class FileUse {
  /// An entry of a cache, which can be made again: mode 0600, for this user alone; not flushed to the disk. Its
  /// temporary is "TARGET.tmp-PROCESS-NUMBER".
  cache,
  /// What a user asked for: the mode of the file that is replaced, or what the umask allows; flushed to the disk before
  /// it gets its name. Its temporary is ".NAME.RANDOM.medsam-tmp", hidden from *.npz, with a lock on it (flock, where
  /// the file system has locks) by which others see that its writer lives: a process's number says nothing in another
  /// container.
  output,
};

/// A file that is being written. Unless it is committed, the destructor removes the temporary, and what was at the
/// target before is still there. Never follows a link at the temporary's name; a link at the target is replaced.
class WholeFile {
 public:
  /// Makes the temporary. std::system_error, as everything below.
  WholeFile(std::string target, FileUse use);
  ~WholeFile();
  WholeFile(const WholeFile&) = delete;
  WholeFile& operator=(const WholeFile&) = delete;

  void write(std::string_view bytes);
  /// Gives the file its name, in place of what is there.
  void commit();

  /// The temporary, for what writes by itself, or asks about it.
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] const platform::File& file() const { return file_; }

 private:
  void flush() const;

  std::string target_;
  FileUse use_;
  platform::File file_;
  std::string path_;
  bool committed_ = false;
};

}  // namespace medsam
