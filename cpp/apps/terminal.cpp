// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "terminal.hpp"

#include <algorithm>
#include <cstdio>

#include "medsam/printable.hpp"
#include "platform/program.hpp"

namespace medsam::apps {

namespace {

std::string cases(std::int64_t count) { return std::to_string(count) + (count == 1 ? " case" : " cases"); }

}  // namespace

Terminal::Terminal(bool quiet) : quiet_(quiet), bar_(!quiet && platform::errors_go_to_terminal()) {}

void Terminal::print(const std::string& text) {
  const std::lock_guard lock(mutex_);
  clear_bar();
  std::fprintf(stderr, "medsam-npz: %s\n", printable(text).c_str());
}

void Terminal::clear_bar() {
  if (shown_) std::fputs("\r\x1b[K", stderr);
  shown_ = false;
}

void Terminal::note(const std::string& text) {
  if (!quiet_) print(text);
}

void Terminal::complain(const std::string& text) { print(text); }

void Terminal::progress(const FolderProgress& p) {
  if (!bar_) return;
  constexpr int kWidth = 30;
  const double within = p.steps > 0 ? static_cast<double>(p.step) / static_cast<double>(p.steps) : 0;
  const double all =
      (static_cast<double>(p.case_index) + within) / static_cast<double>(std::max<std::int64_t>(1, p.case_count));
  const auto filled = static_cast<std::size_t>(all * kWidth);
  const std::string bar = std::string(filled, '#') + std::string(kWidth - filled, '.');
  const std::string steps =
      p.steps > 0 ? ", step " + std::to_string(p.step) + " of " + std::to_string(p.steps) : std::string();
  const std::lock_guard lock(mutex_);
  std::fprintf(stderr, "\r\x1b[K[%s] %lld/%lld %.60s%s", bar.c_str(), static_cast<long long>(p.case_index) + 1,
               static_cast<long long>(p.case_count), printable(p.name, 64).c_str(), steps.c_str());
  shown_ = true;
}

void Terminal::finished(const CaseReport& report) {
  if (report.status == CaseStatus::failed) complain(report.name + ": " + report.message);
  if (report.empty_objects > 0 && report.status == CaseStatus::done) {
    note(report.name + ": nothing found in " + std::to_string(report.empty_objects) + " of " +
         std::to_string(report.objects) + " boxes");
  }
}

void Terminal::summary(const FolderReport& report) {
  if (!report.csv_fault.empty()) complain(report.csv_fault);
  const std::string text = cases(report.done) + " done, " + std::to_string(report.skipped) + " skipped, " +
                           std::to_string(report.failed) + " failed in " + duration(report.wall_s);
  {
    const std::lock_guard lock(mutex_);
    clear_bar();
  }
  note(report.cancelled ? "interrupted: " + text + "; run again to go on" : text);
}

std::string duration(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, seconds < 1 ? "%.1f ms" : "%.2f s", seconds < 1 ? seconds * 1000 : seconds);
  return text;
}

}  // namespace medsam::apps
