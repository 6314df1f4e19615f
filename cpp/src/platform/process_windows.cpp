// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "platform/process.hpp"

#include <windows.h>

#include <algorithm>
#include <cstdio>

#include "platform/file.hpp"
#include "platform/wide_windows.hpp"

namespace medsam::platform {

namespace {

HANDLE handle_of(const File& file) { return reinterpret_cast<HANDLE>(file.handle()); }

File file_of(HANDLE handle) { return File(reinterpret_cast<File::Handle>(handle)); }

// A word as the other program's CommandLineToArgvW takes it apart: backslashes count only before a quotation mark.
std::wstring quoted(const std::wstring& word) {
  std::wstring out = L"\"";
  std::size_t backslashes = 0;
  for (const wchar_t c : word) {
    if (c == L'"') out.append(backslashes + 1, L'\\');
    backslashes = c == L'\\' ? backslashes + 1 : 0;
    out += c;
  }
  return out.append(backslashes, L'\\') + L"\"";
}

std::wstring environment_with(const std::string& variable) {
  const std::wstring name = wide(variable.substr(0, variable.find('=') + 1));
  std::wstring block;
  if (wchar_t* own = ::GetEnvironmentStringsW(); own != nullptr) {
    for (const wchar_t* at = own; *at != L'\0';) {
      const std::wstring one = at;
      if (!one.starts_with(name)) block += one + L'\0';  // the first of two would count
      at += one.size() + 1;
    }
    ::FreeEnvironmentStringsW(own);
  }
  return block + wide(variable) + L'\0' + L'\0';
}

// The handles that the program gets, and no others of this process.
class Inherited {
 public:
  Inherited(HANDLE input, HANDLE output) : handles_{input, output} {
    SIZE_T size = 0;
    ::InitializeProcThreadAttributeList(nullptr, 1, 0, &size);
    memory_.resize(size);
    auto* list = reinterpret_cast<LPPROC_THREAD_ATTRIBUTE_LIST>(memory_.data());
    if (::InitializeProcThreadAttributeList(list, 1, 0, &size) == 0) return;
    list_ = list;
    complete_ = ::UpdateProcThreadAttribute(list_, 0, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, handles_, sizeof handles_,
                                            nullptr, nullptr) != 0;
  }
  ~Inherited() {
    if (list_ != nullptr) ::DeleteProcThreadAttributeList(list_);
  }
  Inherited(const Inherited&) = delete;
  Inherited& operator=(const Inherited&) = delete;
  [[nodiscard]] LPPROC_THREAD_ATTRIBUTE_LIST list() const { return complete_ ? list_ : nullptr; }

 private:
  HANDLE handles_[2];
  std::vector<BYTE> memory_;
  LPPROC_THREAD_ATTRIBUTE_LIST list_ = nullptr;
  bool complete_ = false;
};

// Starts the program with its standard output in a pipe.
std::error_code start(const Program& program, File& process, File& reading) {
  SECURITY_ATTRIBUTES inherit{sizeof inherit, nullptr, TRUE};
  HANDLE read = nullptr, write = nullptr;
  if (::CreatePipe(&read, &write, &inherit, 0) == 0) return system_error();
  reading = file_of(read);
  const File writing = file_of(write);
  ::SetHandleInformation(read, HANDLE_FLAG_INHERIT, 0);
  const File nothing = file_of(::CreateFileW(L"NUL", GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE,
                                             &inherit, OPEN_EXISTING, 0, nullptr));
  if (!nothing) return system_error();
  const Inherited inherited(handle_of(nothing), write);
  if (inherited.list() == nullptr) return system_error();
  STARTUPINFOEXW info{};
  info.StartupInfo.cb = sizeof info;
  info.StartupInfo.dwFlags = STARTF_USESTDHANDLES;
  info.StartupInfo.hStdInput = info.StartupInfo.hStdError = handle_of(nothing);
  info.StartupInfo.hStdOutput = write;
  info.lpAttributeList = inherited.list();
  std::wstring line = quoted(wide(program.path));
  for (const std::string& word : program.words) line += L" " + quoted(wide(word));
  std::wstring environment = environment_with(program.variable);
  // No window of a console.
  constexpr DWORD kFlags = EXTENDED_STARTUPINFO_PRESENT | CREATE_UNICODE_ENVIRONMENT | CREATE_NO_WINDOW;
  PROCESS_INFORMATION started{};
  if (::CreateProcessW(long_path(program.path).c_str(), line.data(), nullptr, nullptr, TRUE, kFlags, environment.data(),
                       nullptr, &info.StartupInfo, &started) == 0) {
    return system_error();
  }
  ::CloseHandle(started.hThread);
  process = file_of(started.hProcess);
  return {};
}

std::string listen(const File& process, const File& reading) {
  constexpr DWORD kPauseMs = 50;
  std::string text;
  // Not by the end of the pipe alone: a process that was started meanwhile may have inherited the other end.
  for (bool ended = false;;) {
    char bytes[4096];
    DWORD waiting = 0, got = 0;
    if (::PeekNamedPipe(handle_of(reading), nullptr, 0, nullptr, &waiting, nullptr) == 0) break;
    if (waiting > 0) {
      if (::ReadFile(handle_of(reading), bytes, std::min<DWORD>(waiting, sizeof bytes), &got, nullptr) == 0) break;
      text.append(bytes, got);
      if (text.size() > 1 << 20) text.erase(0, text.size() / 2);
    } else if (ended) {
      return text;
    } else {
      ended = ::WaitForSingleObject(handle_of(process), kPauseMs) == WAIT_OBJECT_0;
    }
  }
  ::WaitForSingleObject(handle_of(process), INFINITE);
  return text;
}

}  // namespace

ProcessId process_id() { return ::GetCurrentProcessId(); }

void lock_around_fork(std::mutex&) {}

std::string machine_identity() {
  wchar_t id[128];
  DWORD size = sizeof id;
  const LSTATUS got = ::RegGetValueW(HKEY_LOCAL_MACHINE, L"SOFTWARE\\Microsoft\\Cryptography", L"MachineGuid",
                                     RRF_RT_REG_SZ | RRF_SUBKEY_WOW6464KEY, nullptr, id, &size);
  if (got == ERROR_SUCCESS && id[0] != L'\0') return narrow(id);
  wchar_t name[MAX_COMPUTERNAME_LENGTH + 1];
  DWORD length = MAX_COMPUTERNAME_LENGTH + 1;
  return ::GetComputerNameW(name, &length) != 0 ? narrow(name) : "unknown";
}

// Whether it can be started is known when it is; a name that is no program's is passed over.
bool is_program(const std::string& path) {
  const DWORD attributes = ::GetFileAttributesW(long_path(path).c_str());
  return attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_DIRECTORY) == 0;
}

std::string program_name(const std::string& name) { return name + ".exe"; }

std::error_code run_apart(const Program& program, Outcome& outcome) {
  File process, reading;
  if (const std::error_code error = start(program, process, reading)) return error;
  outcome.output = listen(process, reading);
  DWORD status = 0;
  if (::GetExitCodeProcess(handle_of(process), &status) == 0) return {};
  // What ends a process from outside is an NTSTATUS of severity "error"; programs give small numbers.
  if (status >= 0xC0000000) {
    char text[32];
    std::snprintf(text, sizeof text, "exception 0x%08lX", status);
    outcome.crash = text;
  }
  return {};
}

}  // namespace medsam::platform
