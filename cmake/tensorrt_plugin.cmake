# The CUDA plugin, a library of its own beside the engine's: built where NVIDIA's headers and the CUDA toolkit are found.
# It links the CUDA runtime statically and opens TensorRT and the driver when a CUDA device is asked for.
#   MEDSAM_ENGINE_TENSORRT = AUTO (where possible), ON (or it is an error), OFF
#   TENSORRT_ROOT          = a folder with include/NvInfer.h and include/NvOnnxParser.h, of TensorRT 10 or 11
set(MEDSAM_ENGINE_TENSORRT AUTO CACHE STRING "Build the CUDA plugin: AUTO, ON or OFF")
set_property(CACHE MEDSAM_ENGINE_TENSORRT PROPERTY STRINGS AUTO ON OFF)
set(MEDSAM_ENGINE_HAS_TENSORRT OFF)
if(NOT MEDSAM_ENGINE_TENSORRT)
  return()
endif()

find_path(TensorRT_INCLUDE_DIR NvInfer.h
  HINTS "${TENSORRT_ROOT}" "$ENV{TENSORRT_ROOT}" PATH_SUFFIXES include)
set(_missing "")
if(NOT TensorRT_INCLUDE_DIR OR NOT EXISTS "${TensorRT_INCLUDE_DIR}/NvOnnxParser.h")
  list(APPEND _missing "TensorRT's headers (set TENSORRT_ROOT)")
endif()
find_package(CUDAToolkit QUIET)

# All of the plugin but its entry point, for the plugin and for the tests over stand-ins.
if(TARGET CUDA::toolkit AND EXISTS "${TensorRT_INCLUDE_DIR}/NvOnnxParser.h")
  add_library(medsam_tensorrt STATIC
    src/backends/tensorrt/cuda_memory.cpp
    src/backends/tensorrt/device_tensor.cpp
    src/backends/tensorrt/kept_kernels.cpp
    src/backends/tensorrt/library.cpp
    src/backends/tensorrt/pixels.cpp
    src/backends/tensorrt/plan.cpp
    src/backends/tensorrt/plan_file.cpp
    src/backends/tensorrt/request.cpp
    src/backends/tensorrt/rtx.cpp)
  target_include_directories(medsam_tensorrt PRIVATE src)
  target_include_directories(medsam_tensorrt SYSTEM PUBLIC "${TensorRT_INCLUDE_DIR}" ${CUDAToolkit_INCLUDE_DIRS})
  target_link_libraries(medsam_tensorrt PUBLIC medsam_base ${CMAKE_DL_LIBS})
  # The stand-ins' tables are made by hand, which UBSan takes for objects of another type.
  target_compile_options(medsam_tensorrt PRIVATE -fno-sanitize=vptr)
  medsam_engine_warnings(medsam_tensorrt)
endif()

if(NOT TARGET CUDA::cudart_static)
  list(APPEND _missing "the CUDA toolkit")
endif()
if(NOT _missing AND NOT TARGET medsam_cuda_kernels AND MEDSAM_ENGINE_TENSORRT STREQUAL "AUTO")
  message(STATUS "CUDA plugin: not built without the CUDA kernels (MEDSAM_ENGINE_CUDA); its tests over stand-ins are")
  return()
elseif(NOT TARGET medsam_cuda_kernels)
  list(APPEND _missing "the CUDA kernels (MEDSAM_ENGINE_CUDA, nvcc)")
endif()
if(_missing)
  list(JOIN _missing " and " _missing)
  if(NOT MEDSAM_ENGINE_TENSORRT STREQUAL "AUTO")
    message(FATAL_ERROR "MEDSAM_ENGINE_TENSORRT is ON, but ${_missing} were not found (docs/gpu.md)")
  endif()
  message(STATUS "CUDA plugin: not built, ${_missing} not found; everything else is (docs/gpu.md)")
  return()
endif()
message(STATUS "CUDA plugin: built with ${TensorRT_INCLUDE_DIR} and CUDA ${CUDAToolkit_VERSION}")
set(MEDSAM_ENGINE_HAS_TENSORRT ON)

medsam_engine_plugin(medsam_engine_tensorrt src/backends/tensorrt/backend.cpp)
target_link_libraries(medsam_engine_tensorrt PRIVATE medsam_tensorrt medsam_cuda_kernels CUDA::cudart_static)
