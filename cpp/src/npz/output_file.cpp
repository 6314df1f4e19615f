// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "npz/output_file.hpp"

#include <system_error>

#include "base/whole_file.hpp"
#include "medsam/error.hpp"
#include "platform/path.hpp"

namespace medsam::npz {

void write_file_atomically(const std::string& path, const std::vector<std::string_view>& pieces) {
  try {
    WholeFile file(path, FileUse::output);
    for (const std::string_view piece : pieces) file.write(piece);
    file.commit();
  } catch (const std::system_error& e) {
    throw Unsupported("output: " + platform::file_name(path) + " cannot be written (" + e.code().message() +
                      "), expected a writable folder with room; make some or choose another");
  }
}

}  // namespace medsam::npz
