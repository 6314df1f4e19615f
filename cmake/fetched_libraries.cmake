# Where a machine has no such library: its released sources, built here and linked statically. A name below is one that
# cmake/dependencies.cmake finds; the hash is checked, so it does not matter which address answers. Debian's archive
# keeps the very files of GitHub, but for mbedtls.
include(FetchContent)

# medsam_engine_fetch(NAME HASH URL...): downloads and unpacks; <NAME>_SOURCE_DIR is the folder.
macro(medsam_engine_fetch name hash)
  message(STATUS "${name}: not found here, its sources are downloaded")
  # A subfolder that does not exist: only unpacked, so that what is installed and built by default stays ours.
  FetchContent_Declare(${name} URL ${ARGN} URL_HASH SHA256=${hash} DOWNLOAD_EXTRACT_TIMESTAMP OFF SOURCE_SUBDIR none)
  FetchContent_MakeAvailable(${name})
endmacro()

set(_debian "https://deb.debian.org/debian/pool/main")
set(_github "https://github.com")
# Their own cmake_minimum_required is older than what CMake 4 accepts.
if(NOT DEFINED CMAKE_POLICY_VERSION_MINIMUM)
  set(CMAKE_POLICY_VERSION_MINIMUM 3.5)
endif()

if(NOT nlohmann_json_FOUND)
  medsam_engine_fetch(nlohmann_json d69f9deb6a75e2580465c6c4c5111b89c4dc2fa94e3a85fcd2ffcd9a143d9273
    "${_github}/nlohmann/json/archive/refs/tags/v3.11.2.tar.gz"
    "${_debian}/n/nlohmann-json3/nlohmann-json3_3.11.2.orig.tar.gz")
  add_library(nlohmann_json::nlohmann_json INTERFACE IMPORTED)
  target_include_directories(nlohmann_json::nlohmann_json INTERFACE "${nlohmann_json_SOURCE_DIR}/include")
endif()

if(NOT MbedCrypto_FOUND)
  medsam_engine_fetch(mbedcrypto 3b4953aa55a681e084d31892d9904cc5328d6b4958ea57b90ae4b4f94ae69a8d
    "${_debian}/m/mbedtls/mbedtls_2.28.3.orig.tar.gz" "https://snapshot.debian.org/file/d46536829f736d1cb1507e15d3a42ea6994e6c75")
  set(ENABLE_PROGRAMS OFF CACHE INTERNAL "")
  set(ENABLE_TESTING OFF CACHE INTERNAL "")
  set(MBEDTLS_FATAL_WARNINGS OFF CACHE INTERNAL "")
  add_subdirectory("${mbedcrypto_SOURCE_DIR}" "${mbedcrypto_BINARY_DIR}" EXCLUDE_FROM_ALL)
  add_library(MbedCrypto::MbedCrypto ALIAS mbedcrypto)
endif()

if(NOT xxHash_FOUND)
  medsam_engine_fetch(xxhash 3bb6b7d6f30c591dd65aaaff1c8b7a5b94d81687998ca9400082c739a690436c
    "${_github}/Cyan4973/xxHash/archive/refs/tags/v0.8.1.tar.gz" "${_debian}/x/xxhash/xxhash_0.8.1.orig.tar.gz")
  add_library(xxHash::headers INTERFACE IMPORTED)
  target_include_directories(xxHash::headers INTERFACE "${xxhash_SOURCE_DIR}")
  target_compile_definitions(xxHash::headers INTERFACE XXH_INLINE_ALL)
endif()

if(NOT LibDeflate_FOUND)
  medsam_engine_fetch(libdeflate 1ab18349b9fb0ce8a0ca4116bded725be7dcbfa709e19f6f983d99df1fb8b25f
    "${_github}/ebiggers/libdeflate/archive/refs/tags/v1.23.tar.gz"
    "${_debian}/libd/libdeflate/libdeflate_1.23.orig.tar.gz")
  set(LIBDEFLATE_BUILD_SHARED_LIB OFF CACHE INTERNAL "")
  set(LIBDEFLATE_BUILD_GZIP OFF CACHE INTERNAL "")
  add_subdirectory("${libdeflate_SOURCE_DIR}" "${libdeflate_BINARY_DIR}" EXCLUDE_FROM_ALL)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 22)
    # It asks for "evex512", which this compiler no longer knows, unless it is there already.
    target_compile_definitions(libdeflate_static PRIVATE __EVEX512__)
  endif()
  add_library(LibDeflate::LibDeflate ALIAS libdeflate_static)
endif()

if(NOT hwy_FOUND)
  medsam_engine_fetch(hwy 7e0be78b8318e8bdbf6fa545d2ecb4c90f947df03f7aadc42c1967f019e63343
    "${_github}/google/highway/archive/refs/tags/1.2.0.tar.gz" "${_debian}/h/highway/highway_1.2.0.orig.tar.gz")
  set(HWY_ENABLE_TESTS OFF CACHE INTERNAL "")
  set(HWY_ENABLE_EXAMPLES OFF CACHE INTERNAL "")
  set(HWY_ENABLE_CONTRIB OFF CACHE INTERNAL "")
  add_subdirectory("${hwy_SOURCE_DIR}" "${hwy_BINARY_DIR}" EXCLUDE_FROM_ALL)
  # Its warnings are its own: its NEON headers shadow members.
  set_target_properties(hwy PROPERTIES
    INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "$<TARGET_PROPERTY:hwy,INTERFACE_INCLUDE_DIRECTORIES>")
  add_library(hwy::hwy ALIAS hwy)
endif()
