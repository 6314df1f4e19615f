// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "npz/case_list.hpp"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "medsam/error.hpp"
#include "npz/output_check.hpp"
#include "npz/output_file.hpp"
#include "npz/segs_file.hpp"
#include "platform/folder.hpp"
#include "platform/path.hpp"

namespace medsam::npz {

namespace fs = std::filesystem;

namespace {

std::vector<std::string> case_names(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  fs::directory_iterator it(platform::disk_path(folder), error);
  for (const fs::directory_iterator end; !error && it != end; it.increment(error)) {
    const std::string name = platform::name_of(it->path().filename());
    std::error_code unknown;  // a broken link is no file; the rest go on
    if (!name.starts_with(".") && name.ends_with(".npz") && !it->is_directory(unknown)) names.push_back(name);
  }
  if (error) {
    throw InvalidArgument("input: got \"" + folder + "\" (" + error.message() + "), expected a folder of *.npz");
  }
  if (names.empty()) throw InvalidArgument("input: got no *.npz in \"" + folder + "\", expected at least one case");
  std::sort(names.begin(), names.end());
  return names;
}

void make_output(const FolderOptions& options) {
  if (options.output.empty()) throw InvalidArgument("output: got none, expected a folder");
  std::error_code error = platform::make_folders(options.output);
  const fs::path output = platform::disk_path(options.output);
  const bool writable = !error && fs::is_directory(output, error) && platform::is_usable_folder(options.output);
  if (!writable) {
    throw InvalidArgument("output: got \"" + options.output + "\", expected a folder that can be written" +
                          (error ? " (" + error.message() + ")" : "") + "; choose another or change its permissions");
  }
  if (fs::equivalent(platform::disk_path(options.input), output, error)) {
    throw InvalidArgument("output: got the input folder, expected another one; the answers have the same names");
  }
}

}  // namespace

CaseList list_cases(const FolderOptions& options) {
  const std::vector<std::string> names = case_names(options.input);
  make_output(options);
  check_outputs(options, names);
  remove_abandoned_temporaries(options.output);
  CaseList list;
  for (const std::string& name : names) {
    const std::string answer = platform::in_folder(options.output, name);
    std::error_code error;
    if (options.overwrite || !fs::exists(platform::disk_path(answer), error)) {
      list.pending.push_back(name);
      continue;
    }
    CaseReport report;
    report.name = name;
    report.status = CaseStatus::skipped;
    if (!is_segs_file(answer)) {  // not ours to overwrite unasked
      report.status = CaseStatus::failed;
      report.message =
          "output: got a file that is no NPZ with the key segs, expected none or a finished answer; remove it or "
          "overwrite";
    }
    list.settled.push_back(std::move(report));
  }
  return list;
}

}  // namespace medsam::npz
