# Windows on x86-64, built by zig (with mingw-w64's headers and the universal C runtime) on any machine, its programs run by wine
# (scripts/run/test_windows.sh). GCC is no compiler for it: it does not align the stack for AVX there (GCC bug 54412).
set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_SYSTEM_PROCESSOR AMD64)
set(MEDSAM_ENGINE_ZIG_TARGET x86_64-windows-gnu)
include("${CMAKE_CURRENT_LIST_DIR}/zig.cmake")
# zig's headers are those of Windows 10, the oldest that Microsoft serves.
set(CMAKE_CXX_FLAGS_INIT "-DUNICODE -D_UNICODE")
# Without wine's debugger, which would write about a crash where the program itself writes.
find_program(MEDSAM_ENGINE_WINE NAMES wine64 wine PATHS /usr/lib/wine)
if(MEDSAM_ENGINE_WINE)
  set(CMAKE_CROSSCOMPILING_EMULATOR
    "env;WINEPREFIX=${CMAKE_CURRENT_LIST_DIR}/../build/wine;WINEDEBUG=-all;WINEDLLOVERRIDES=winedbg.exe=d;DISPLAY=;${MEDSAM_ENGINE_WINE}")
endif()
