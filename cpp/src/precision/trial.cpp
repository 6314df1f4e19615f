// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "precision/trial.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "base/own_files.hpp"
#include "base/sha256.hpp"
#include "medsam/error.hpp"
#include "medsam/library.hpp"

namespace medsam {

namespace fs = std::filesystem;

namespace {

constexpr const char* kProgram = "medsam-trial";
constexpr const char* kInside = "MEDSAM_ENGINE_TRIAL";  // set in that process, which must not start another
// What it writes when it has an answer; the library's own chatter may surround it.
constexpr const char *kOk = "medsam-trial: ok\n", *kRefused = "medsam-trial: refused\n";

bool set(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr && *value != '\0';
}

fs::path find_program() {
  std::vector<fs::path> folders;
  if (set("MEDSAM_ENGINE_HELPER_DIR")) {
    folders.emplace_back(std::getenv("MEDSAM_ENGINE_HELPER_DIR"));
  } else {
    Dl_info info{};
    std::error_code error;
    fs::path own = ".";  // where this code was loaded from
    if (::dladdr(reinterpret_cast<const void*>(&try_apart), &info) != 0 && info.dli_fname != nullptr) {
      own = fs::canonical(info.dli_fname, error).parent_path();
    }
    // The wheel and an install; an install under lib/<architecture>; the build tree.
    folders = {own / ".." / "bin", own / ".." / ".." / "bin", own / "apps"};
  }
  for (const fs::path& folder : folders) {
    if (::access((folder / kProgram).c_str(), X_OK) == 0) return folder / kProgram;
  }
  throw Unsupported("precision: got a quantized graph, which is first tried in a process of its own, but its program " +
                    std::string(kProgram) + " is not in " + folders[0].string() +
                    "; reinstall medsam-engine, or use f32 of a graph that is not quantized");
}

[[noreturn]] void cannot_start(int error) {
  throw BackendError("a quantized graph is first tried in a process of its own, which cannot be started (" +
                     std::string(std::generic_category().message(error)) + "); use precision f32");
}

// Starts the program with its standard output in a pipe, of which the reading end comes back.
::pid_t start(const fs::path& program, std::vector<std::string> words, std::array<int, 2>& pipe) {
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) cannot_start(errno);
  ::posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, pipe[1], STDOUT_FILENO);
  ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 2);
  words.insert(words.begin(), program.string());
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  std::string inside = std::string(kInside) + "=1";
  std::vector<char*> environment;
  for (char** variable = environ; *variable != nullptr; ++variable) environment.push_back(*variable);
  environment.push_back(inside.data());
  environment.push_back(nullptr);
  ::pid_t pid = 0;
  const int error = ::posix_spawn(&pid, program.c_str(), &actions, nullptr, arguments.data(), environment.data());
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(pipe[1]);
  if (error != 0) {
    ::close(pipe[0]);
    cannot_start(error);
  }
  return pid;
}

// Collects the child if it has ended, or waits for its end. False while it runs.
bool reap(::pid_t pid, int options, int& status) {
  ::pid_t got = 0;
  do {
    got = ::waitpid(pid, &status, options);
  } while (got < 0 && errno == EINTR);
  return got != 0;  // also when the host has collected it, or the kernel for one that ignores SIGCHLD
}

// What the program wrote, and its status as waitpid has it, 0 when that is not to be had.
std::string listen(::pid_t pid, int descriptor, int& status) {
  std::string text;
  bool ended = false;
  for (;;) {
    ::pollfd ready{descriptor, POLLIN, 0};
    // Not by the end of the pipe alone: a process that the host forked meanwhile may hold the other end open.
    const int count = ::poll(&ready, 1, ended ? 0 : 100);
    if (count < 0 && errno == EINTR) continue;
    if (count > 0) {
      std::array<char, 4096> bytes{};
      const ::ssize_t got = ::read(descriptor, bytes.data(), bytes.size());
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) break;
      text.append(bytes.data(), static_cast<std::size_t>(got));
      if (text.size() > 1 << 20) text.erase(0, text.size() / 2);
    } else if (ended) {
      return text;
    } else {
      ended = reap(pid, WNOHANG, status);
    }
  }
  if (!ended) reap(pid, 0, status);
  return text;
}

std::string stamp_entry(const TrialOf& trial, const ModelFile& model, const std::string& format) {
  return "tried/" +
         sha256_hex("2\n" + std::string(version()) + "\n" + trial.backend.library() + "\n" +
                    trial.backend.device_name() + "\n" + format + "\n" + model.role + "\n" + model.content_hash());
}

}  // namespace

void try_apart(const TrialOf& trial, const ModelFile& model, const std::string& format, const CacheFolder& cache) {
  if (set(kInside)) return;
  const std::string entry = stamp_entry(trial, model, format);
  if (cache.read(entry)) return;
  const fs::path program = find_program();
  std::array<int, 2> pipe{};
  const ::pid_t pid = start(
      program, {trial.bundle.folder, trial.options.device, trial.stages.pair(), std::to_string(trial.options.threads)},
      pipe);
  const Descriptor reading(pipe[0]);
  int status = 0;
  const std::string said = listen(pid, reading.number(), status);
  if (said.find(kOk) != std::string::npos) {
    cache.write(entry, "ok\n");
    return;
  }
  if (said.find(kRefused) != std::string::npos) return;
  std::string end = "without an answer";
  if (WIFSIGNALED(status)) end = "by signal " + std::to_string(WTERMSIG(status));
  throw BackendError(trial.backend.library() + ": " + model.path + ": the process that tried this graph ended " + end +
                     ", as yours would have; use precision f32 where that is another graph, or quantize the bundle " +
                     "again with a smaller budget");
}

}  // namespace medsam
