# What the toolchain files of zig (a clang with the headers and C libraries of many systems; ziglang on PyPI) have in common.
# MEDSAM_ENGINE_ZIG_TARGET is set before: what zig compiles for. All libraries are built from their sources
# (cmake/fetched_libraries.cmake), since none of this machine is the target's.
set(MEDSAM_ENGINE_ZIG zig CACHE FILEPATH "The zig that compiles")
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES MEDSAM_ENGINE_ZIG)
set(CMAKE_C_COMPILER "${MEDSAM_ENGINE_ZIG}" cc -target ${MEDSAM_ENGINE_ZIG_TARGET})
set(CMAKE_CXX_COMPILER "${MEDSAM_ENGINE_ZIG}" c++ -target ${MEDSAM_ENGINE_ZIG_TARGET})
set(CMAKE_RANLIB true)  # zig's ar writes the index; CMAKE_AR is the caller's
set(CMAKE_FIND_ROOT_PATH "${CMAKE_CURRENT_LIST_DIR}")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
