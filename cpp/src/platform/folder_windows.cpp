// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "platform/folder.hpp"

#include <windows.h>

#include "platform/file.hpp"
#include "platform/path.hpp"
#include "platform/random.hpp"
#include "platform/security_windows.hpp"
#include "platform/wide_windows.hpp"

namespace medsam::platform {

namespace {

std::string random_word() {
  unsigned char bytes[8];
  std::string word;
  if (!random_bytes(bytes, sizeof bytes)) return "0";  // taken, where somebody else had none either
  for (const unsigned char byte : bytes) {
    word += "0123456789abcdef"[byte >> 4];
    word += "0123456789abcdef"[byte & 15];
  }
  return word;
}

// To ask it about its owner and its rights.
File opened(const std::string& path) {
  return File(
      reinterpret_cast<File::Handle>(::CreateFileW(long_path(path).c_str(), READ_CONTROL | FILE_READ_ATTRIBUTES,
                                                   FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, nullptr,
                                                   OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS, nullptr)));
}

std::error_code make(const std::string& path) {
  OwnSecurity own;
  return ::CreateDirectoryW(long_path(path).c_str(), own.attributes()) != 0 ? std::error_code() : system_error();
}

}  // namespace

std::error_code make_folders(const std::string& path) {
  const std::wstring name = long_path(path);
  if (::CreateDirectoryW(name.c_str(), nullptr) != 0) return {};
  std::error_code error = system_error();
  const std::string parent = name_of(path_of(path).parent_path());
  if (error.value() == ERROR_PATH_NOT_FOUND && !parent.empty() && parent != path) {
    if (const std::error_code above = make_folders(parent)) return above;
    if (::CreateDirectoryW(name.c_str(), nullptr) != 0) return {};
    error = system_error();
  }
  // A drive's own folder is said to be forbidden to make.
  const DWORD attributes = ::GetFileAttributesW(name.c_str());
  const bool there = attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_DIRECTORY) != 0;
  return there ? std::error_code() : error;
}

std::error_code make_own_folder(const std::string& path) {
  const std::error_code error = make(path);
  return error.value() == ERROR_ALREADY_EXISTS ? std::error_code() : error;
}

std::string fault_of_folder(const std::string& path) {
  const File folder = opened(path);
  if (!folder) return "cannot be read (" + system_error().message() + ")";
  const HANDLE handle = reinterpret_cast<HANDLE>(folder.handle());
  FILE_STANDARD_INFO info{};
  if (::GetFileInformationByHandleEx(handle, FileStandardInfo, &info, sizeof info) == 0 || info.Directory == 0) {
    return "is no folder";
  }
  if (const std::string owner = foreign_owner_of(handle); !owner.empty()) return "belongs to " + owner + ", not to you";
  if (others_may_write(handle)) return "can be written by other users; take that right from them in its properties";
  return is_usable_folder(path) ? "" : "cannot be written";
}

// Rights say too little: a disk may be write-protected, a share read-only. So a file is made.
bool is_usable_folder(const std::string& path) {
  const std::wstring probe = long_path(path + "\\.medsam-" + random_word());
  const HANDLE handle = ::CreateFileW(probe.c_str(), GENERIC_WRITE | DELETE, 0, nullptr, CREATE_NEW,
                                      FILE_ATTRIBUTE_TEMPORARY | FILE_FLAG_DELETE_ON_CLOSE, nullptr);
  if (handle == INVALID_HANDLE_VALUE) return false;
  ::CloseHandle(handle);
  return true;
}

std::string make_temporary_folder(std::error_code& error) {
  constexpr int kAttempts = 100;
  wchar_t folder[MAX_PATH + 1];
  const DWORD length = ::GetTempPathW(MAX_PATH + 1, folder);
  if (length == 0 || length > MAX_PATH) {
    error = system_error();
    return "";
  }
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const std::string path = narrow(folder) + "medsam-engine-" + random_word();
    error = make(path);
    if (!error) return path;
    if (error.value() != ERROR_ALREADY_EXISTS) break;
  }
  return "";
}

bool is_on_local_disk(const std::string& path) {
  const std::wstring name = long_path(path);
  std::wstring root(name.size() + MAX_PATH, L'\0');
  if (::GetVolumePathNameW(name.c_str(), root.data(), static_cast<DWORD>(root.size())) == 0) return false;
  const UINT kind = ::GetDriveTypeW(root.c_str());
  return kind == DRIVE_FIXED || kind == DRIVE_RAMDISK || kind == DRIVE_REMOVABLE;
}

}  // namespace medsam::platform
