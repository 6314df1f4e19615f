// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "platform/file.hpp"

#include <aclapi.h>
#include <windows.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <new>
#include <vector>

#include "platform/security_windows.hpp"
#include "platform/wide_windows.hpp"

namespace medsam::platform {

namespace {

HANDLE handle_of(const File& file) { return reinterpret_cast<HANDLE>(file.handle()); }

// Others may read, write, rename and remove what is open here, as on POSIX: who wants it otherwise takes the lock.
constexpr DWORD kShared = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;

File opened(const std::string& path, DWORD access, DWORD what, DWORD flags, std::error_code& error,
            SECURITY_ATTRIBUTES* security = nullptr) {
  const HANDLE handle = ::CreateFileW(long_path(path).c_str(), access, kShared, security, what, flags, nullptr);
  error = handle == INVALID_HANDLE_VALUE ? system_error() : std::error_code();
  return File(reinterpret_cast<File::Handle>(handle));
}

// A link (or a junction) is opened itself, and then refused.
File opened_no_link(const std::string& path, DWORD access, std::error_code& error) {
  File file = opened(path, access, OPEN_EXISTING, FILE_FLAG_OPEN_REPARSE_POINT, error);
  FILE_ATTRIBUTE_TAG_INFO info{};
  if (!file) return file;
  if (::GetFileInformationByHandleEx(handle_of(file), FileAttributeTagInfo, &info, sizeof info) == 0) {
    error = system_error();
    return {};
  }
  if ((info.FileAttributes & FILE_ATTRIBUTE_REPARSE_POINT) != 0 && IsReparseTagNameSurrogate(info.ReparseTag)) {
    error = std::make_error_code(std::errc::too_many_symbolic_link_levels);
    return {};
  }
  return file;
}

// 100 ns since 1601 as seconds since 1970.
std::int64_t seconds(const LARGE_INTEGER& time) { return time.QuadPart / 10000000 - 11644473600; }

bool basic(const File& file, FILE_BASIC_INFO& info) {
  return ::GetFileInformationByHandleEx(handle_of(file), FileBasicInfo, &info, sizeof info) != 0;
}

bool standard(const File& file, FILE_STANDARD_INFO& info) {
  return ::GetFileInformationByHandleEx(handle_of(file), FileStandardInfo, &info, sizeof info) != 0;
}

std::optional<FileId> id_of(const File& file) {
  FileId id;
  FILE_ID_INFO info{};  // 128 bits, which ReFS needs
  if (::GetFileInformationByHandleEx(handle_of(file), FileIdInfo, &info, sizeof info) != 0) {
    id.volume = info.VolumeSerialNumber;
    for (int i = 0; i < 8; ++i) {
      id.low |= std::uint64_t{info.FileId.Identifier[i]} << 8 * i;
      id.high |= std::uint64_t{info.FileId.Identifier[8 + i]} << 8 * i;
    }
    return id;
  }
  BY_HANDLE_FILE_INFORMATION older{};  // FAT, and servers that do not know the other
  if (::GetFileInformationByHandle(handle_of(file), &older) == 0) return std::nullopt;
  return FileId{older.dwVolumeSerialNumber, 0, std::uint64_t{older.nFileIndexHigh} << 32 | older.nFileIndexLow};
}

// Renames as POSIX does: who has the old file open keeps it. Since Windows 10 1709, on NTFS ("FILE_RENAME_INFO", Flags,
// which older headers do not name).
bool rename_as_posix(const std::wstring& source, const std::wstring& target) {
  constexpr auto kFileRenameInfoEx = static_cast<FILE_INFO_BY_HANDLE_CLASS>(22);
  constexpr DWORD kReplace = 0x1, kPosix = 0x2;
  const File file(reinterpret_cast<File::Handle>(::CreateFileW(source.c_str(), DELETE | SYNCHRONIZE, kShared, nullptr,
                                                               OPEN_EXISTING, FILE_FLAG_OPEN_REPARSE_POINT, nullptr)));
  if (!file) return false;
  const std::size_t name = target.size() * sizeof(wchar_t);
  std::vector<std::max_align_t> memory((sizeof(FILE_RENAME_INFO) + name) / sizeof(std::max_align_t) + 1);
  auto* info = reinterpret_cast<FILE_RENAME_INFO*>(memory.data());
  const DWORD flags = kReplace | kPosix;
  std::memcpy(info, &flags, sizeof flags);  // where ReplaceIfExists is, in a union with it
  info->FileNameLength = static_cast<DWORD>(name);
  std::memcpy(info->FileName, target.data(), name);
  return ::SetFileInformationByHandle(handle_of(file), kFileRenameInfoEx, info,
                                      static_cast<DWORD>(memory.size() * sizeof(std::max_align_t))) != 0;
}

}  // namespace

void File::close() {
  if (handle_ != kNone) ::CloseHandle(reinterpret_cast<HANDLE>(std::exchange(handle_, kNone)));
}

File open_file(const std::string& path, Opening how, std::error_code& error) {
  // WRITE_DAC for take_mode_of. Without DELETE, which it takes neither to rename the file by its name meanwhile nor to
  // remove it, and with which the C library's streams could not open it, too.
  constexpr DWORD kWrite = GENERIC_WRITE | FILE_READ_ATTRIBUTES | READ_CONTROL | WRITE_DAC;
  switch (how) {
    case Opening::read:
      return opened(path, GENERIC_READ, OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, error);
    case Opening::read_no_link:
      return opened_no_link(path, GENERIC_READ, error);
    case Opening::change_no_link:
      return opened_no_link(path, GENERIC_READ | GENERIC_WRITE, error);
    case Opening::write_anew:
      return opened(path, kWrite, CREATE_ALWAYS, FILE_ATTRIBUTE_NORMAL, error);
    case Opening::create:
      return opened(path, kWrite, CREATE_NEW, FILE_ATTRIBUTE_NORMAL, error);
    case Opening::create_own: {
      OwnSecurity own;
      return opened(path, kWrite, CREATE_NEW, FILE_ATTRIBUTE_NORMAL, error, own.attributes());
    }
  }
  error = std::make_error_code(std::errc::invalid_argument);
  return {};
}

// With no right but to ask; FILE_FLAG_BACKUP_SEMANTICS opens folders, too.
File name_file(const std::string& path, std::error_code& error) {
  return opened(path, FILE_READ_ATTRIBUTES, OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS, error);
}

File reopen_to_read(const File& named, std::error_code& error) {
  const HANDLE handle = ::ReOpenFile(handle_of(named), GENERIC_READ, kShared, 0);
  error = handle == INVALID_HANDLE_VALUE ? system_error() : std::error_code();
  return File(reinterpret_cast<File::Handle>(handle));
}

std::string real_path(const File& named, std::error_code& error) {
  std::wstring path(MAX_PATH, L'\0');
  for (;;) {
    const DWORD got = ::GetFinalPathNameByHandleW(handle_of(named), path.data(), static_cast<DWORD>(path.size()),
                                                  FILE_NAME_NORMALIZED | VOLUME_NAME_DOS);
    if (got == 0) {
      error = system_error();
      return "";
    }
    const bool fits = got < path.size();
    path.resize(got);
    if (fits) break;
  }
  error.clear();
  return without_prefix(path);
}

std::optional<FileId> id_of(const std::string& path) {
  std::error_code error;
  const File file = name_file(path, error);
  return file ? id_of(file) : std::nullopt;
}

FileStatus status_of(const File& file, std::error_code& error) {
  FILE_BASIC_INFO times{};
  FILE_STANDARD_INFO info{};
  if (!basic(file, times) || !standard(file, info)) {
    error = system_error();
    return {};
  }
  error.clear();
  const bool regular = info.Directory == 0 && ::GetFileType(handle_of(file)) == FILE_TYPE_DISK;
  return {regular, static_cast<std::uint64_t>(info.EndOfFile.QuadPart),
          info.DeletePending != 0 ? 0 : std::uint64_t{info.NumberOfLinks}, seconds(times.LastWriteTime)};
}

std::string change_stamp(const File& file) {
  // ChangeTime is POSIX's ctime, which a program cannot set back unnoticed; CreationTime is not.
  FILE_BASIC_INFO times{};
  FILE_STANDARD_INFO info{};
  const std::optional<FileId> id = id_of(file);
  if (!id || !basic(file, times) || !standard(file, info)) return "";
  return std::to_string(info.EndOfFile.QuadPart) + " " + std::to_string(times.LastWriteTime.QuadPart) + " " +
         std::to_string(times.ChangeTime.QuadPart) + " " + std::to_string(id->volume) + " " + std::to_string(id->high) +
         " " + std::to_string(id->low);
}

std::string foreign_owner(const File& file) { return foreign_owner_of(handle_of(file)); }

std::size_t read_at(const File& file, void* out, std::size_t count, std::uint64_t offset, std::error_code& error) {
  constexpr std::size_t kMost = std::size_t{1} << 30;  // a call's size is a DWORD
  std::size_t done = 0;
  error.clear();
  while (done < count) {
    OVERLAPPED at{};
    at.Offset = static_cast<DWORD>(offset + done);
    at.OffsetHigh = static_cast<DWORD>((offset + done) >> 32);
    DWORD got = 0;
    if (::ReadFile(handle_of(file), static_cast<char*>(out) + done, static_cast<DWORD>(std::min(count - done, kMost)),
                   &got, &at) == 0) {
      if (::GetLastError() != ERROR_HANDLE_EOF) error = system_error();
      break;
    }
    if (got == 0) break;
    done += got;
  }
  return done;
}

std::error_code write_all(const File& file, const void* data, std::size_t size) {
  constexpr std::size_t kMost = std::size_t{1} << 30;
  for (const auto* at = static_cast<const char*>(data); size > 0;) {
    DWORD written = 0;
    if (::WriteFile(handle_of(file), at, static_cast<DWORD>(std::min(size, kMost)), &written, nullptr) == 0) {
      return system_error();
    }
    if (written == 0) return std::make_error_code(std::errc::no_space_on_device);
    at += written;
    size -= written;
  }
  return {};
}

std::error_code flush(const File& file) {
  return ::FlushFileBuffers(handle_of(file)) != 0 ? std::error_code() : system_error();
}

std::error_code check_close(const File&) { return {}; }  // FlushFileBuffers has said it

// The list of who may do what; a new file has its folder's.
std::error_code take_mode_of(const File& file, const std::string& path) {
  return take_access_of(handle_of(file), path);
}

Lock try_lock(const File& file) {
  // A lock keeps others from the bytes themselves: of one that no file has.
  OVERLAPPED at{};
  at.OffsetHigh = 0x40000000;
  if (::LockFileEx(handle_of(file), LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &at) != 0) {
    return Lock::taken;
  }
  const DWORD error = ::GetLastError();
  return error == ERROR_LOCK_VIOLATION || error == ERROR_IO_PENDING ? Lock::elsewhere : Lock::none;
}

std::error_code rename_over(const std::string& from, const std::string& to) {
  // A virus scanner or an indexer may have the old file open for a moment, without sharing it.
  constexpr int kAttempts = 20;
  constexpr DWORD kPauseMs = 10;
  const std::wstring source = long_path(from), target = long_path(to);
  for (int attempt = 1;; ++attempt) {
    if (rename_as_posix(source, target)) return {};
    if (::MoveFileExW(source.c_str(), target.c_str(), MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH) != 0) {
      return {};
    }
    const DWORD error = ::GetLastError();
    const bool passing = error == ERROR_SHARING_VIOLATION || error == ERROR_ACCESS_DENIED;
    if (!passing || attempt == kAttempts) return {static_cast<int>(error), std::system_category()};
    ::Sleep(kPauseMs);
  }
}

std::error_code remove_file(const std::string& path) noexcept {
  try {
    return ::DeleteFileW(long_path(path).c_str()) != 0 ? std::error_code() : system_error();
  } catch (const std::bad_alloc&) {
    return std::make_error_code(std::errc::not_enough_memory);
  }
}

}  // namespace medsam::platform
