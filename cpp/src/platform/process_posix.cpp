// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "platform/process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __APPLE__
#include <crt_externs.h>
#endif

#include <array>
#include <cerrno>
#include <fstream>
#include <string_view>

#include "platform/file.hpp"

namespace medsam::platform {

namespace {

std::mutex* guarded = nullptr;

#ifdef __APPLE__
char** environment_block() { return *::_NSGetEnviron(); }

int make_pipe(std::array<int, 2>& ends) {
  if (::pipe(ends.data()) != 0) return -1;
  for (const int end : ends) ::fcntl(end, F_SETFD, FD_CLOEXEC);
  return 0;
}
#else
char** environment_block() { return environ; }

int make_pipe(std::array<int, 2>& ends) { return ::pipe2(ends.data(), O_CLOEXEC); }
#endif

// Starts the program with its standard output in a pipe, of which the reading end comes back.
int start(const Program& program, ::pid_t& pid, File& reading) {
  std::array<int, 2> pipe{};
  if (make_pipe(pipe) != 0) return errno;
  reading = File(pipe[0]);
  const File writing(pipe[1]);
  ::posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, pipe[1], STDOUT_FILENO);
  ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  std::vector<std::string> words = program.words;
  words.insert(words.begin(), program.path);
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  std::string variable = program.variable;
  std::vector<char*> environment;
  const std::string name = variable.substr(0, variable.find('=') + 1);
  for (char** at = environment_block(); *at != nullptr; ++at) {
    if (!std::string_view(*at).starts_with(name)) environment.push_back(*at);  // the first of two would count
  }
  environment.push_back(variable.data());
  environment.push_back(nullptr);
  const int error = ::posix_spawn(&pid, program.path.c_str(), &actions, nullptr, arguments.data(), environment.data());
  ::posix_spawn_file_actions_destroy(&actions);
  return error;
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

}  // namespace

ProcessId process_id() { return ::getpid(); }

void lock_around_fork(std::mutex& mutex) {
  guarded = &mutex;
  ::pthread_atfork([] { guarded->lock(); }, [] { guarded->unlock(); }, [] { guarded->unlock(); });
}

std::string machine_identity() {
  std::string id;
  std::ifstream file("/etc/machine-id");
  if (std::getline(file, id) && !id.empty()) return id;
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "unknown";
}

bool is_program(const std::string& path) { return ::access(path.c_str(), X_OK) == 0; }

std::string program_name(const std::string& name) { return name; }

std::error_code run_apart(const Program& program, Outcome& outcome) {
  ::pid_t pid = 0;
  File reading;
  if (const int error = start(program, pid, reading); error != 0) return {error, std::generic_category()};
  int status = 0;
  outcome.output = listen(pid, static_cast<int>(reading.handle()), status);
  if (WIFSIGNALED(status)) outcome.crash = "signal " + std::to_string(WTERMSIG(status));
  return {};
}

}  // namespace medsam::platform
