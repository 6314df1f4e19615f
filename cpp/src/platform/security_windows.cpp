// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "platform/security_windows.hpp"

#include <aclapi.h>
#include <sddl.h>

#include <memory>

#include "platform/wide_windows.hpp"

namespace medsam::platform {

namespace {

struct LocalFreed {
  void operator()(void* memory) const { ::LocalFree(memory); }
};
using Descriptor = std::unique_ptr<void, LocalFreed>;

// Moved and never copied: it points into itself.
std::vector<BYTE> of_token(TOKEN_INFORMATION_CLASS what) {
  HANDLE token = nullptr;
  if (::OpenProcessToken(::GetCurrentProcess(), TOKEN_QUERY, &token) == 0) return {};
  DWORD size = 0;
  ::GetTokenInformation(token, what, nullptr, 0, &size);
  std::vector<BYTE> information(size);
  const bool known = ::GetTokenInformation(token, what, information.data(), size, &size) != 0;
  ::CloseHandle(token);
  if (!known) information.clear();
  return information;
}

std::vector<BYTE> copy_of(PSID identifier) {
  std::vector<BYTE> copy(::GetLengthSid(identifier));
  ::CopySid(static_cast<DWORD>(copy.size()), copy.data(), identifier);
  return copy;
}

// Files that an administrator makes may belong to the group: the token says to whom.
std::vector<BYTE> owner_of_new_files() {
  const std::vector<BYTE> information = of_token(TokenOwner);
  return information.empty() ? information : copy_of(reinterpret_cast<const TOKEN_OWNER*>(information.data())->Owner);
}

bool is_everybody(PSID identifier) {
  return ::IsWellKnownSid(identifier, WinWorldSid) != 0 || ::IsWellKnownSid(identifier, WinBuiltinUsersSid) != 0 ||
         ::IsWellKnownSid(identifier, WinAuthenticatedUserSid) != 0 ||
         ::IsWellKnownSid(identifier, WinBuiltinGuestsSid) != 0 || ::IsWellKnownSid(identifier, WinAnonymousSid) != 0;
}

}  // namespace

std::vector<BYTE> own_user() {
  const std::vector<BYTE> information = of_token(TokenUser);
  return information.empty() ? information : copy_of(reinterpret_cast<const TOKEN_USER*>(information.data())->User.Sid);
}

OwnSecurity::OwnSecurity() : user_(own_user()) {
  if (user_.empty()) return;
  std::vector<BYTE> list(sizeof(ACL) + sizeof(ACCESS_ALLOWED_ACE) + user_.size());
  auto* rights = reinterpret_cast<ACL*>(list.data());
  constexpr DWORD kBelow = CONTAINER_INHERIT_ACE | OBJECT_INHERIT_ACE;  // what a folder's content gets
  if (::InitializeAcl(rights, static_cast<DWORD>(list.size()), ACL_REVISION) == 0 ||
      ::AddAccessAllowedAceEx(rights, ACL_REVISION, kBelow, FILE_ALL_ACCESS, user_.data()) == 0 ||
      ::InitializeSecurityDescriptor(&descriptor_, SECURITY_DESCRIPTOR_REVISION) == 0 ||
      ::SetSecurityDescriptorDacl(&descriptor_, TRUE, rights, FALSE) == 0 ||
      ::SetSecurityDescriptorControl(&descriptor_, SE_DACL_PROTECTED, SE_DACL_PROTECTED) == 0) {
    return;
  }
  list_ = std::move(list);  // its memory stays where it is
  attributes_ = {sizeof attributes_, &descriptor_, FALSE};
}

std::string foreign_owner_of(HANDLE file) {
  PSID owner = nullptr;
  PSECURITY_DESCRIPTOR descriptor = nullptr;
  if (::GetSecurityInfo(file, SE_FILE_OBJECT, OWNER_SECURITY_INFORMATION, &owner, nullptr, nullptr, nullptr,
                        &descriptor) != ERROR_SUCCESS ||
      owner == nullptr) {
    return "unknown owner";
  }
  const Descriptor freed(descriptor);
  for (std::vector<BYTE> own : {own_user(), owner_of_new_files()}) {
    if (!own.empty() && ::EqualSid(own.data(), owner) != 0) return "";
  }
  wchar_t* text = nullptr;
  if (::ConvertSidToStringSidW(owner, &text) == 0) return "another user";
  const Descriptor freed_text(text);
  return "user " + narrow(text);
}

bool others_may_write(HANDLE folder) {
  ACL* rights = nullptr;
  PSECURITY_DESCRIPTOR descriptor = nullptr;
  if (::GetSecurityInfo(folder, SE_FILE_OBJECT, DACL_SECURITY_INFORMATION, nullptr, nullptr, &rights, nullptr,
                        &descriptor) != ERROR_SUCCESS) {
    return true;
  }
  const Descriptor freed(descriptor);
  if (rights == nullptr) return true;  // no list: everybody may everything
  constexpr DWORD kWriting = FILE_ADD_FILE | FILE_ADD_SUBDIRECTORY | FILE_DELETE_CHILD | DELETE | WRITE_DAC |
                             WRITE_OWNER | GENERIC_WRITE | GENERIC_ALL;
  for (DWORD i = 0; i < rights->AceCount; ++i) {
    void* entry = nullptr;
    if (::GetAce(rights, i, &entry) == 0) return true;
    const auto* header = static_cast<const ACE_HEADER*>(entry);
    if (header->AceType != ACCESS_ALLOWED_ACE_TYPE || (header->AceFlags & INHERIT_ONLY_ACE) != 0) continue;
    auto* allowed = static_cast<ACCESS_ALLOWED_ACE*>(entry);
    if ((allowed->Mask & kWriting) != 0 && is_everybody(&allowed->SidStart)) return true;
  }
  return false;
}

std::error_code take_access_of(HANDLE file, const std::string& path) {
  ACL* rights = nullptr;
  PSECURITY_DESCRIPTOR descriptor = nullptr;
  std::wstring name = long_path(path);
  const DWORD got = ::GetNamedSecurityInfoW(name.data(), SE_FILE_OBJECT, DACL_SECURITY_INFORMATION, nullptr, nullptr,
                                            &rights, nullptr, &descriptor);
  if (got != ERROR_SUCCESS) return {};  // no such file, or a disk without rights
  const Descriptor freed(descriptor);
  SECURITY_DESCRIPTOR_CONTROL control = 0;
  DWORD revision = 0;
  ::GetSecurityDescriptorControl(descriptor, &control, &revision);
  // What is inherited comes from the folder, which is the same.
  if ((control & SE_DACL_PROTECTED) == 0) return {};
  const DWORD set =
      ::SetSecurityInfo(file, SE_FILE_OBJECT, DACL_SECURITY_INFORMATION | PROTECTED_DACL_SECURITY_INFORMATION, nullptr,
                        nullptr, rights, nullptr);
  return set == ERROR_SUCCESS ? std::error_code() : std::error_code(static_cast<int>(set), std::system_category());
}

}  // namespace medsam::platform
