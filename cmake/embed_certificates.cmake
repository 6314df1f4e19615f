# Compiles the project's own measured certificates into builtin_certificates.hpp: a bundle's certificate is the project's
# when it is one of these, so the tools' file is the one place where they are written down.
set(_file "${PROJECT_SOURCE_DIR}/tools/medsam_engine_tools/bundle/certificates.json")
file(READ "${_file}" _text)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${_file}")
set(_out "${CMAKE_CURRENT_BINARY_DIR}/generated/builtin_certificates.hpp")
file(CONFIGURE OUTPUT "${_out}" CONTENT
"// Generated from tools/medsam_engine_tools/bundle/certificates.json by cmake/embed_certificates.cmake.
#pragma once

namespace medsam {
inline constexpr const char* kBuiltinCertificates = R\"json(@_text@)json\";
}  // namespace medsam
" @ONLY)
