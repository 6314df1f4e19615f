# What a C++ or C host needs beside the library: headers, a CMake package and a pkg-config file, relocatable, in a folder
# PREFIX of the installation (none for a C++ installation, the Python package's folder in a wheel).
#   EXPORT      the export set that the library was installed with
#   LIBDIR, INCLUDEDIR  below PREFIX
#   LINK        what pkg-config --libs says; \${libdir} is the library's folder
include(CMakePackageConfigHelpers)
function(medsam_engine_package)
  cmake_parse_arguments(PARSE_ARGV 0 _arg "" "COMPONENT;EXPORT;PREFIX;LIBDIR;INCLUDEDIR;LINK" "")
  set(_work "${CMAKE_CURRENT_BINARY_DIR}/package/${_arg_COMPONENT}")
  set(_prefix "")
  if(_arg_PREFIX)
    set(_prefix "${_arg_PREFIX}/")
  endif()
  set(_cmake_dir "${_prefix}${_arg_LIBDIR}/cmake/medsam_engine")

  install(DIRECTORY "${PROJECT_SOURCE_DIR}/cpp/include/medsam" "${PROJECT_BINARY_DIR}/cpp/generated/medsam"
    DESTINATION "${_prefix}${_arg_INCLUDEDIR}" COMPONENT ${_arg_COMPONENT}
    FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp")

  install(EXPORT ${_arg_EXPORT} FILE medsam_engine-targets.cmake NAMESPACE medsam_engine::
    DESTINATION "${_cmake_dir}" COMPONENT ${_arg_COMPONENT})
  configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/medsam_engine-config.cmake.in"
    "${_work}/medsam_engine-config.cmake" INSTALL_DESTINATION "${_cmake_dir}")
  write_basic_package_version_file("${_work}/medsam_engine-config-version.cmake" COMPATIBILITY SameMinorVersion)
  install(FILES "${_work}/medsam_engine-config.cmake" "${_work}/medsam_engine-config-version.cmake"
    DESTINATION "${_cmake_dir}" COMPONENT ${_arg_COMPONENT})

  file(RELATIVE_PATH _to_prefix "/${_arg_LIBDIR}/pkgconfig" "/")
  string(REGEX REPLACE "/$" "" _to_prefix "${_to_prefix}")
  configure_file("${PROJECT_SOURCE_DIR}/cmake/medsam_engine.pc.in" "${_work}/medsam_engine.pc" @ONLY)
  install(FILES "${_work}/medsam_engine.pc"
    DESTINATION "${_prefix}${_arg_LIBDIR}/pkgconfig" COMPONENT ${_arg_COMPONENT})
endfunction()
