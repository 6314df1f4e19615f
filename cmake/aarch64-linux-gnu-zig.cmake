# Linux on Arm with glibc 2.28 or newer, built by zig, whose own C++ library is linked in; cmake/aarch64-linux-gnu.cmake is for
# Debian's compiler and its glibc. Its programs are run by qemu in user mode.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(MEDSAM_ENGINE_ZIG_TARGET aarch64-linux-gnu.2.28)
include("${CMAKE_CURRENT_LIST_DIR}/zig.cmake")
foreach(_kind SHARED MODULE EXE)
  set(CMAKE_${_kind}_LINKER_FLAGS_RELEASE_INIT "-s")  # zig always writes what a debugger reads, ten times the code
endforeach()
# max: every extension that qemu knows, bf16 among them.
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64-static;-L;/usr/aarch64-linux-gnu;-cpu;max)
