# Windows on x86-64, built by zig (a clang with mingw-w64's headers and the universal C runtime; ziglang on PyPI) on any machine,
# its programs run by wine (scripts/run/test_windows.sh). All libraries are built from their sources
# (cmake/fetched_libraries.cmake). GCC is no compiler for it: it does not align the stack for AVX there (GCC bug 54412).
set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_SYSTEM_PROCESSOR AMD64)
set(MEDSAM_ENGINE_ZIG zig CACHE FILEPATH "The zig that compiles")
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES MEDSAM_ENGINE_ZIG)
set(CMAKE_C_COMPILER "${MEDSAM_ENGINE_ZIG}" cc -target x86_64-windows-gnu)
set(CMAKE_CXX_COMPILER "${MEDSAM_ENGINE_ZIG}" c++ -target x86_64-windows-gnu)
set(CMAKE_RANLIB true)  # zig's ar writes the index; CMAKE_AR is the caller's
set(CMAKE_FIND_ROOT_PATH "${CMAKE_CURRENT_LIST_DIR}")  # no library of this machine is Windows'
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
# zig's headers are those of Windows 10, the oldest that Microsoft serves.
set(CMAKE_CXX_FLAGS_INIT "-DUNICODE -D_UNICODE")
# Without wine's debugger, which would write about a crash where the program itself writes.
find_program(MEDSAM_ENGINE_WINE NAMES wine64 wine PATHS /usr/lib/wine)
if(MEDSAM_ENGINE_WINE)
  set(CMAKE_CROSSCOMPILING_EMULATOR
    "env;WINEPREFIX=${CMAKE_CURRENT_LIST_DIR}/../build/wine;WINEDEBUG=-all;WINEDLLOVERRIDES=winedbg.exe=d;DISPLAY=;${MEDSAM_ENGINE_WINE}")
endif()
