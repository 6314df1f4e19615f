// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "npz/times_file.hpp"

#include <string_view>
#include <system_error>

#include "base/number_text.hpp"
#include "medsam/error.hpp"
#include "medsam/printable.hpp"

namespace medsam::npz {

namespace {

// A cell of what files and callers named: one line, and nothing that a spreadsheet takes for a formula
// (https://owasp.org/www-community/attacks/CSV_Injection), for which an apostrophe before it is the usual mark.
std::string cell(const std::string& raw) {
  std::string text = printable(raw);
  if (!text.empty() && std::string_view("=+-@").find(text[0]) != std::string_view::npos) text.insert(0, 1, '\'');
  if (text.find_first_of(",\"") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + "\"";
}

std::string seconds(double value) { return fixed_text(value, 6); }

}  // namespace

const char* status_name(CaseStatus status) {
  switch (status) {
    case CaseStatus::done:
      return "done";
    case CaseStatus::skipped:
      return "skipped";
    default:
      return "failed";
  }
}

TimesFile::TimesFile(const std::string& path) {
  if (path.empty()) return;
  std::error_code error;
  file_ = platform::open_file(path, platform::Opening::write_anew, error);
  if (!file_) {
    throw InvalidArgument("csv: got " + path + " (" + error.message() +
                          "), expected a file that can be written; choose another");
  }
  write("case,status,objects,slices,read_s,segment_s,write_s,total_s,empty_objects,message\n");
}

void TimesFile::add(const CaseReport& r) {
  write(cell(r.name) + "," + status_name(r.status) + "," + std::to_string(r.objects) + "," + std::to_string(r.slices) +
        "," + seconds(r.read_s) + "," + seconds(r.segment_s) + "," + seconds(r.write_s) + "," +
        seconds(r.read_s + r.segment_s + r.write_s) + "," + std::to_string(r.empty_objects) + "," + cell(r.message) +
        "\n");
}

void TimesFile::write(const std::string& line) {
  if (!file_ || !fault_.empty()) return;
  if (const std::error_code error = platform::write_all(file_, line.data(), line.size())) {
    fault_ = "csv: could not be written (" + error.message() + "); the table of times is not complete";
  }
}

}  // namespace medsam::npz
