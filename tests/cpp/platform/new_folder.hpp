// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "platform/folder.hpp"
#include "platform/path.hpp"

namespace medsam::platform {

/// A folder in the temporary folder, removed with all that is in it. Its paths have letters outside ASCII.
class NewFolder {
 public:
  NewFolder() {
    std::error_code error;
    made_ = make_temporary_folder(error);
    EXPECT_FALSE(error) << error.message();
    EXPECT_FALSE(make_own_folder(path("")));
  }
  ~NewFolder() {
    std::error_code error;
    std::filesystem::remove_all(disk_path(made_), error);
  }
  NewFolder(const NewFolder&) = delete;
  NewFolder& operator=(const NewFolder&) = delete;

  /// "M&uuml;ller &euro;" in UTF-8: of the Latin letters, and outside them.
  [[nodiscard]] std::string path(const std::string& name) const {
    return made_ + "/M\xc3\xbcller \xe2\x82\xac" + (name.empty() ? "" : "/" + name);
  }

 private:
  std::string made_;
};

}  // namespace medsam::platform
