// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "npz/output_check.hpp"

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <system_error>

#include "medsam/error.hpp"
#include "platform/file.hpp"
#include "platform/path.hpp"

namespace medsam::npz {

namespace fs = std::filesystem;

namespace {

class FilesRead {
 public:
  void add(const std::string& name) {
    std::error_code error;
    const fs::path path = platform::disk_path(name);
    if (!fs::is_directory(path, error)) {
      add_file(name);
      return;
    }
    for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
      std::error_code unknown;
      if (!it->is_directory(unknown)) add_file(platform::name_of(it->path()));
    }
  }

  void check(const std::string& output, const char* what) const {
    const auto file = platform::id_of(output);
    if (!file) return;
    const auto found = names_.find(*file);
    if (found == names_.end()) return;
    throw InvalidArgument(std::string(what) + ": got \"" + output + "\", which is \"" + found->second +
                          "\", expected different files; nothing that is read is overwritten");
  }

 private:
  void add_file(const std::string& name) {
    if (const auto file = platform::id_of(name)) names_.emplace(*file, name);
  }

  std::map<platform::FileId, std::string> names_;
};

}  // namespace

void check_outputs(const FolderOptions& options, const std::vector<std::string>& names) {
  FilesRead read;
  for (const std::string& name : names) read.add(platform::in_folder(options.input, name));
  for (const std::string& path : options.also_read) read.add(path);
  for (const std::string& name : names) {
    std::error_code error;
    const std::string answer = platform::in_folder(options.output, name);
    if (options.overwrite || !fs::exists(platform::disk_path(answer), error)) read.check(answer, "output");
  }
  if (options.csv.empty()) return;
  read.check(options.csv, "csv");
  std::error_code error;
  const fs::path table = platform::path_of(options.csv);
  const std::string folder = table.has_parent_path() ? platform::name_of(table.parent_path()) : ".";
  const bool beside = fs::equivalent(platform::disk_path(folder), platform::disk_path(options.output), error);
  const auto id = platform::id_of(options.csv);
  const bool of_answer = std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    return (beside && platform::file_name(options.csv) == name) ||
           (id && id == platform::id_of(platform::in_folder(options.output, name)));
  });
  if (of_answer) {
    throw InvalidArgument("csv: got \"" + options.csv +
                          "\", which is an answer, expected a file of its own; rename it");
  }
}

}  // namespace medsam::npz
