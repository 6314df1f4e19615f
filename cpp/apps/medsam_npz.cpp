// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// medsam-npz: a folder of challenge cases in, a folder of answers out, in one process and without Python.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "arguments.hpp"
#include "bundle_folder.hpp"
#include "medsam/engine.hpp"
#include "medsam/folder.hpp"
#include "medsam/printable.hpp"
#include "platform/program.hpp"
#include "terminal.hpp"

namespace medsam::apps {
namespace {

constexpr int kDone = 0, kSomeFailed = 1, kUsage = 2;

std::atomic<int> caught_signal{0};
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler may touch nothing else");

void on_signal(int number) {
  caught_signal.store(number);
  std::signal(number, SIG_DFL);  // the second one ends the process at once; files stay whole all the same
}

void set_signals() {
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
  // A file-size limit is then an error of one case, as a full disk is.
  platform::survive_file_size_limit();
}

/// The phases of the start, in the order they began.
class Phases {
 public:
  void end(const std::string& name) {
    const auto now = std::chrono::steady_clock::now();
    add(name, std::chrono::duration<double>(now - last_).count());
    last_ = now;
  }
  void add(const std::string& name, double seconds) { phases_.emplace_back(name, seconds); }
  void print() const {
    for (const auto& [name, seconds] : phases_) {
      std::fprintf(stderr, "medsam-npz: %-44s %10s\n", name.c_str(), duration(seconds).c_str());
    }
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
  std::vector<std::pair<std::string, double>> phases_;
};

EngineOptions engine_options(const Arguments& arguments, Terminal& terminal) {
  EngineOptions options;
  options.device = arguments.device;
  options.precision = arguments.precision;
  options.trust_bundle_certificates = arguments.trust_certificates;
  options.threads = arguments.threads;
  options.profile = arguments.profile;
  options.cache_dir = arguments.cache_dir;
  // A folder's images do not come back, so embeddings serve a volume's second sweep only: half the engine's default
  // keeps the peak of a 13-object brain volume below 700 MB.
  options.cache_bytes = std::uint64_t{128} << 20;
  options.log = [&terminal](LogLevel, const std::string& text) { terminal.note(text); };
  return options;
}

FolderOptions folder_options(const Arguments& arguments, Terminal& terminal) {
  FolderOptions options;
  options.input = arguments.input;
  options.output = arguments.output;
  options.overwrite = arguments.overwrite;
  options.csv = arguments.csv;
  try {
    options.also_read = {bundle_folder(arguments.bundle)};
  } catch (const ModelError&) {
    options.also_read.clear();  // none is needed where every answer is there
  }
  options.modality = arguments.modality;
  options.max_bytes = arguments.max_bytes;
  options.progress = [&terminal](const FolderProgress& p) { terminal.progress(p); };
  options.finished = [&terminal](const CaseReport& r) { terminal.finished(r); };
  options.cancelled = [] { return caught_signal.load() != 0; };
  return options;
}

void add_first_case(Phases& phases, const FolderReport& report) {
  const auto first = std::find_if(report.cases.begin(), report.cases.end(),
                                  [](const CaseReport& c) { return c.status == CaseStatus::done; });
  if (first == report.cases.end()) return;
  phases.add("read first case (while the model loads)", first->read_s);
  phases.add("segment first case", first->segment_s);
  phases.add("write first case (while the next is segmented)", first->write_s);
}

int run(const Arguments& arguments) {
  Terminal terminal(arguments.quiet);
  Phases phases;
  // What the dynamic loader spent on the libraries, before main.
  phases.add("load libraries (processor time)", static_cast<double>(std::clock()) / CLOCKS_PER_SEC);
  FolderRun folder(folder_options(arguments, terminal));
  phases.end("list cases");
  FolderReport report;
  if (folder.pending() == 0) {
    report = folder.run();
  } else {
    // Left to the operating system at the end of the process (see main): taking the models apart takes longer than
    // leaving them, and every answer is on the disk by then.
    const auto& engine = *new Engine(bundle_folder(arguments.bundle), engine_options(arguments, terminal));
    phases.end("load bundle, compile encoder and decoder");
    terminal.note(engine.info().family + ", profile " + engine.info().profile + ", " + engine.info().precision +
                  (engine.info().tuned ? " (tuned)" : "") + " on " + engine.info().device + ", " +
                  std::to_string(folder.pending()) + " of " + std::to_string(folder.size()) + " cases to do");
    report = folder.run(engine);
    add_first_case(phases, report);
  }
  terminal.summary(report);
  if (arguments.times) phases.print();
  if (report.cancelled) return 128 + caught_signal.load();
  return report.failed > 0 || !report.csv_fault.empty() ? kSomeFailed : kDone;
}

int checked_main(const std::vector<std::string>& words) {
  try {
    const Arguments arguments = parse_arguments(words);
    if (arguments.help) {
      std::fputs(kHelp, stdout);
      return kDone;
    }
    if (arguments.version) {
      std::printf("medsam-npz %s\n", medsam::version());
      return kDone;
    }
    set_signals();
    return run(arguments);
  } catch (const UsageError& error) {
    std::fprintf(stderr, "medsam-npz: %s\n", medsam::printable(error.what()).c_str());
  } catch (const Error& error) {
    std::fprintf(stderr, "medsam-npz: %s\n", error.what());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "medsam-npz: internal error: %s\n", medsam::printable(error.what()).c_str());
    return kSomeFailed;
  }
  return kUsage;
}

}  // namespace
}  // namespace medsam::apps

int main(int argc, char** argv) {
  const int status = medsam::apps::checked_main(medsam::platform::program_words(argc, argv));
  std::fflush(nullptr);
  // Without the static destructors of OpenVINO and its threading library, some 0.1 s.
  std::_Exit(status);
}
