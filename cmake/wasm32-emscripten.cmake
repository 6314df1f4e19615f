# WebAssembly by Debian's emscripten, for node and browsers (scripts/run/test_wasm.sh). All libraries are built from their sources
# (cmake/fetched_libraries.cmake), so that they have the same vectors and exceptions.
find_program(MEDSAM_ENGINE_EM_CONFIG em-config REQUIRED)
execute_process(COMMAND "${MEDSAM_ENGINE_EM_CONFIG}" EMSCRIPTEN_ROOT
  OUTPUT_VARIABLE _emscripten OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
# Vectors of 128 bits, and exceptions of WebAssembly itself: every browser of 2022 and newer, and node 17, have both. What
# ISO C++20 has and emscripten 3.1.6's library lacks comes first.
set(_flags "-msimd128 -fwasm-exceptions")
# Threads are workers on shared memory, of which every object has to know.
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES MEDSAM_ENGINE_WASM_THREADS)
if(MEDSAM_ENGINE_WASM_THREADS)
  string(APPEND _flags " -pthread")
endif()
set(CMAKE_C_FLAGS_INIT "${_flags}")
set(CMAKE_CXX_FLAGS_INIT "${_flags} -include ${CMAKE_CURRENT_LIST_DIR}/../wasm/standard_library.hpp")
include("${_emscripten}/cmake/Modules/Platform/Emscripten.cmake")
