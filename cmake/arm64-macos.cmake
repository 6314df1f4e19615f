# macOS on Apple's processors, compiled by zig on any machine. Nothing that it makes has run: scripts/run/compile_macos.sh
# compiles every source, and a Mac has to do the rest.
set(CMAKE_SYSTEM_NAME Darwin)
set(CMAKE_SYSTEM_PROCESSOR arm64)
set(MEDSAM_ENGINE_ZIG_TARGET aarch64-macos.13.0)
include("${CMAKE_CURRENT_LIST_DIR}/zig.cmake")
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)  # zig's linker knows no frameworks
# Apple's own tools are not here.
set(CMAKE_INSTALL_NAME_TOOL true)
set(CMAKE_OSX_SYSROOT "")
