// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "base/own_files.hpp"

#include <system_error>

#include "platform/folder.hpp"
#include "platform/path.hpp"

namespace medsam {

OwnFile open_own_file(const std::string& path, std::uint64_t limit) {
  OwnFile own;
  std::error_code error;
  platform::File file = platform::open_file(path, platform::Opening::read_no_link, error);
  if (!file) {
    if (error == std::errc::too_many_symbolic_link_levels) own.fault = "got a link, expected a regular file";
    if (error == std::errc::no_such_device_or_address) {
      own.fault = "got a socket or a device, expected a regular file";
    }
    return own;  // not there, or not readable: as if it were not
  }
  const platform::FileStatus status = platform::status_of(file, error);
  if (error || !status.regular) {
    own.fault = "got something that is no regular file, expected one";
  } else if (const std::string owner = platform::foreign_owner(file); !owner.empty()) {
    own.fault = "got a file of " + owner + ", expected one of your own";
  } else if (status.size > limit) {
    own.fault = "got " + std::to_string(status.size) + " bytes, expected at most " + std::to_string(limit);
  } else {
    own.size = status.size;
    own.file = std::move(file);
  }
  return own;
}

bool read_own_file(const OwnFile& own, std::string& content) {
  content.resize(static_cast<std::size_t>(own.size));
  std::error_code error;
  return platform::read_at(own.file, content.data(), content.size(), 0, error) == content.size();
}

std::string fault_of_own_folder(const std::string& path) {
  std::error_code error;
  const std::string parent = platform::name_of(platform::path_of(path).parent_path());
  if (!parent.empty()) error = platform::make_folders(parent);
  if (!error) error = platform::make_own_folder(path);
  return error ? "cannot be written (" + error.message() + ")" : platform::fault_of_folder(path);
}

}  // namespace medsam
