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

std::optional<platform::FileId> id(const fs::path& path) { return platform::id_of(platform::name_of(path)); }

class FilesRead {
 public:
  void add(const fs::path& path) {
    std::error_code error;
    if (!fs::is_directory(path, error)) {
      if (const auto file = id(path)) names_.emplace(*file, path.string());
      return;
    }
    for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
      std::error_code unknown;
      if (it->is_directory(unknown)) continue;
      if (const auto file = id(it->path())) names_.emplace(*file, it->path().string());
    }
  }

  void check(const fs::path& output, const char* what) const {
    const auto file = id(output);
    if (!file) return;
    const auto found = names_.find(*file);
    if (found == names_.end()) return;
    throw InvalidArgument(std::string(what) + ": got \"" + output.string() + "\", which is \"" + found->second +
                          "\", expected different files; nothing that is read is overwritten");
  }

 private:
  std::map<platform::FileId, std::string> names_;
};

}  // namespace

void check_outputs(const FolderOptions& options, const std::vector<std::string>& names) {
  const fs::path input(options.input), output(options.output), table(options.csv);
  FilesRead read;
  for (const std::string& name : names) read.add(input / name);
  for (const std::string& path : options.also_read) read.add(path);
  for (const std::string& name : names) {
    std::error_code error;
    if (options.overwrite || !fs::exists(output / name, error)) read.check(output / name, "output");
  }
  if (options.csv.empty()) return;
  read.check(table, "csv");
  std::error_code error;
  const fs::path folder = table.has_parent_path() ? table.parent_path() : fs::path(".");
  const bool of_answer = std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    return (table.filename() == name && fs::equivalent(folder, output, error)) ||
           (id(table) && id(table) == id(output / name));
  });
  if (of_answer) {
    throw InvalidArgument("csv: got \"" + options.csv +
                          "\", which is an answer, expected a file of its own; rename it");
  }
}

}  // namespace medsam::npz
