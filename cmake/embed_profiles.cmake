# Compiles profiles/*.json into builtin_profiles.hpp: the files are the one place where a profile is written down.
file(GLOB _profiles CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/profiles/*.json")
set(_entries "")
foreach(_file IN LISTS _profiles)
  get_filename_component(_name "${_file}" NAME_WE)
  file(READ "${_file}" _text)
  string(APPEND _entries "    {\"${_name}\", R\"json(${_text})json\"},\n")
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${_file}")
endforeach()
set(_out "${CMAKE_CURRENT_BINARY_DIR}/generated/builtin_profiles.hpp")
file(CONFIGURE OUTPUT "${_out}" CONTENT
"// Generated from profiles/*.json by cmake/embed_profiles.cmake.
#pragma once

#include <utility>

namespace medsam {
inline constexpr std::pair<const char*, const char*> kBuiltinProfiles[] = {
@_entries@};
}  // namespace medsam
" @ONLY)
