// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "precision/trial.hpp"

#include <filesystem>
#include <system_error>
#include <vector>

#include "base/sha256.hpp"
#include "medsam/error.hpp"
#include "medsam/library.hpp"
#include "platform/library.hpp"
#include "platform/path.hpp"
#include "platform/process.hpp"

namespace medsam {

namespace fs = std::filesystem;

namespace {

constexpr const char* kProgram = "medsam-trial";
constexpr const char* kInside = "MEDSAM_ENGINE_TRIAL";  // set in that process, which must not start another
// What it writes when it has an answer; the library's own chatter may surround it.
constexpr const char *kOk = "medsam-trial: ok\n", *kRefused = "medsam-trial: refused\n";

fs::path find_program() {
  std::vector<fs::path> folders;
  if (const std::string named = platform::environment("MEDSAM_ENGINE_HELPER_DIR"); !named.empty()) {
    folders.push_back(platform::path_of(named));
  } else {
    std::error_code error;
    fs::path own = ".";  // where this code was loaded from
    if (const std::string file = platform::file_of(reinterpret_cast<const void*>(&try_apart)); !file.empty()) {
      own = fs::canonical(platform::disk_path(file), error).parent_path();
    }
    // The wheel and an install; an install under lib/<architecture>; the build tree; Windows, where a program looks for
    // libraries beside itself.
    folders = {own / ".." / "bin", own / ".." / ".." / "bin", own / "apps", own};
  }
  for (const fs::path& folder : folders) {
    const fs::path program = folder / platform::program_name(kProgram);
    if (platform::is_program(platform::name_of(program))) return program;
  }
  throw Unsupported("precision: got a quantized graph, which is first tried in a process of its own, but its program " +
                    std::string(kProgram) + " is not in " + platform::name_of(folders[0]) +
                    "; reinstall medsam-engine, or use f32 of a graph that is not quantized");
}

std::string stamp_entry(const TrialOf& trial, const ModelFile& model, const std::string& format) {
  return "tried/" +
         sha256_hex("2\n" + std::string(version()) + "\n" + trial.backend.library() + "\n" +
                    trial.backend.device_name() + "\n" + format + "\n" + model.role + "\n" + model.content_hash());
}

}  // namespace

void try_apart(const TrialOf& trial, const ModelFile& model, const std::string& format, const CacheFolder& cache) {
  if (!platform::environment(kInside).empty()) return;
  const std::string entry = stamp_entry(trial, model, format);
  if (cache.read(entry)) return;
  const platform::Program program = {
      platform::name_of(find_program()),
      {trial.bundle.folder, trial.options.device, trial.stages.pair(), std::to_string(trial.options.threads)},
      std::string(kInside) + "=1"};
  platform::Outcome outcome;
  if (const std::error_code error = platform::run_apart(program, outcome)) {
    throw BackendError("a quantized graph is first tried in a process of its own, which cannot be started (" +
                       error.message() + "); use precision f32");
  }
  if (outcome.output.find(kOk) != std::string::npos) {
    cache.write(entry, "ok\n");
    return;
  }
  if (outcome.output.find(kRefused) != std::string::npos) return;
  const std::string end = outcome.crash.empty() ? "without an answer" : "by " + outcome.crash;
  throw BackendError(trial.backend.library() + ": " + model.path + ": the process that tried this graph ended " + end +
                     ", as yours would have; use precision f32 where that is another graph, or quantize the bundle " +
                     "again with a smaller budget");
}

}  // namespace medsam
