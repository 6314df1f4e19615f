# MEDSAM_ENGINE_CUDA = AUTO (the CUDA kernels where nvcc is found), ON (or it is an error), OFF. Where they are left out
# everything else builds. Sets MEDSAM_ENGINE_HAS_CUDA.
set(MEDSAM_ENGINE_CUDA AUTO CACHE STRING "Build the CUDA kernels: AUTO, ON or OFF")
set_property(CACHE MEDSAM_ENGINE_CUDA PROPERTY STRINGS AUTO ON OFF)
# RTX 20 (75), A100 (80), RTX 30 (86), RTX 40 (89), H100 (90), B200 (100), RTX 50 (120); the last also as PTX, which a
# driver compiles for what comes later. sm_100 and sm_120 need CUDA 12.8.
set(MEDSAM_ENGINE_CUDA_ARCHITECTURES 75-real 80-real 86-real 89-real 90-real 100-real 120 CACHE STRING
    "GPU architectures of the CUDA kernels, as CMAKE_CUDA_ARCHITECTURES writes them")
set(MEDSAM_ENGINE_HAS_CUDA OFF)
if(NOT MEDSAM_ENGINE_CUDA)
  return()
endif()

find_package(CUDAToolkit 12.8 QUIET)
set(_missing "")
if(NOT CUDAToolkit_NVCC_EXECUTABLE)
  set(_missing "no nvcc of CUDA 12.8 or newer was found")
elseif(NOT TARGET CUDA::cudart_static)
  set(_missing "${CUDAToolkit_NVCC_EXECUTABLE} has no static CUDA runtime beside it")
else()
  # An nvcc that does not take this machine's C++ compiler must not end a build that can do without it.
  set(_probe "${CMAKE_BINARY_DIR}/CMakeFiles/nvcc_probe")
  file(WRITE "${_probe}.cu" "#include <atomic>\n__global__ void probe() {}\n")
  set(_host "")
  if(DEFINED ENV{CUDAHOSTCXX})
    set(_host "-ccbin=$ENV{CUDAHOSTCXX}")
  endif()
  execute_process(
    COMMAND "${CUDAToolkit_NVCC_EXECUTABLE}" ${_host} -std=c++20 -arch=sm_120 -c "${_probe}.cu" -o "${_probe}.o"
    RESULT_VARIABLE _failed OUTPUT_VARIABLE _said ERROR_VARIABLE _said)
  if(_failed)
    string(REGEX MATCH "[^\n]*error[^\n]*" _said "${_said}")
    set(_missing "${CUDAToolkit_NVCC_EXECUTABLE} cannot compile here (${_said})")
  endif()
endif()
if(_missing)
  if(NOT MEDSAM_ENGINE_CUDA STREQUAL "AUTO")
    message(FATAL_ERROR "MEDSAM_ENGINE_CUDA is ON, but ${_missing}; install the CUDA toolkit or set CUDAToolkit_ROOT")
  endif()
  message(STATUS "CUDA kernels: not built, ${_missing}; everything else is")
  return()
endif()

if(NOT CMAKE_CUDA_COMPILER)
  set(CMAKE_CUDA_COMPILER "${CUDAToolkit_NVCC_EXECUTABLE}")
endif()
if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES 75)  # for CMake's own trials; targets name theirs
endif()
enable_language(CUDA)
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25.1 does not know that nvcc 12 has C++20
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
  list(APPEND CMAKE_CUDA_COMPILE_FEATURES cuda_std_20)
  set(CMAKE_CUDA20_COMPILE_FEATURES cuda_std_20)
endif()
set(CMAKE_CUDA_STANDARD 20)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
set(CMAKE_CUDA_EXTENSIONS OFF)
set(MEDSAM_ENGINE_HAS_CUDA ON)
message(STATUS "CUDA kernels: built with nvcc ${CMAKE_CUDA_COMPILER_VERSION} for ${MEDSAM_ENGINE_CUDA_ARCHITECTURES}")
