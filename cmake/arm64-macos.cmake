# macOS on Apple's processors, compiled by zig (a clang with the headers of macOS; ziglang on PyPI) on any machine. Nothing
# that it makes has run: scripts/run/compile_macos.sh compiles every source, and a Mac has to do the rest.
set(CMAKE_SYSTEM_NAME Darwin)
set(CMAKE_SYSTEM_PROCESSOR arm64)
set(MEDSAM_ENGINE_ZIG zig CACHE FILEPATH "The zig that compiles")
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES MEDSAM_ENGINE_ZIG)
set(CMAKE_C_COMPILER "${MEDSAM_ENGINE_ZIG}" cc -target aarch64-macos.13.0)
set(CMAKE_CXX_COMPILER "${MEDSAM_ENGINE_ZIG}" c++ -target aarch64-macos.13.0)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)  # zig's linker knows no frameworks
# Apple's own tools are not here; an archiver is CMAKE_AR of the caller.
set(CMAKE_RANLIB true)
set(CMAKE_INSTALL_NAME_TOOL true)
set(CMAKE_OSX_SYSROOT "")
set(CMAKE_FIND_ROOT_PATH "${CMAKE_CURRENT_LIST_DIR}")  # no library of this machine is macOS's
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
