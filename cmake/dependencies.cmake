# Every third-party library is named here, once. find_package first; cmake/fetched_libraries.cmake where a machine has none.

# OpenVINO: exactly the version that the extra `openvino` of pyproject.toml pins. Its soname carries the patch number, so a
# wheel runs only beside the version it was built against; its headers and CMake config come inside its own pip wheel.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/pyproject.toml")
file(STRINGS "${PROJECT_SOURCE_DIR}/pyproject.toml" _pin REGEX "^openvino = .*\"openvino==[0-9.]+\"")
string(REGEX MATCH "openvino==([0-9.]+)" _pin "${_pin}")
set(MEDSAM_ENGINE_OPENVINO_VERSION "${CMAKE_MATCH_1}")
if(NOT MEDSAM_ENGINE_OPENVINO_VERSION)
  message(FATAL_ERROR "pyproject.toml names no OpenVINO version (expected openvino = [\"openvino==X.Y.Z\"] of its extras)")
endif()

set(_python_components Interpreter)
if(MEDSAM_ENGINE_PYTHON)
  list(APPEND _python_components Development.Module)
endif()
find_package(Python 3.10 REQUIRED COMPONENTS ${_python_components})
if(MEDSAM_ENGINE_OPENVINO AND NOT OpenVINO_DIR)
  execute_process(
    COMMAND "${Python_EXECUTABLE}" -c
            "import importlib.util as u; s = u.find_spec('openvino'); print(s.submodule_search_locations[0] if s else '', end='')"
    OUTPUT_VARIABLE _openvino_package)
  if(_openvino_package)
    set(OpenVINO_DIR "${_openvino_package}/cmake" CACHE PATH "Folder of OpenVINOConfig.cmake" FORCE)
  endif()
endif()
if(MEDSAM_ENGINE_OPENVINO)
  find_package(OpenVINO ${MEDSAM_ENGINE_OPENVINO_VERSION} EXACT REQUIRED COMPONENTS Runtime)
endif()

if(MEDSAM_ENGINE_PYTHON AND NOT pybind11_DIR)  # scikit-build-core sets it; by hand, ask the interpreter
  execute_process(COMMAND "${Python_EXECUTABLE}" -m pybind11 --cmakedir
    OUTPUT_VARIABLE _pybind11 OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(_pybind11)
    set(pybind11_DIR "${_pybind11}" CACHE PATH "Folder of pybind11Config.cmake" FORCE)
  endif()
endif()

find_package(Threads REQUIRED)

# Debian 12 ships version 3.11 of nlohmann_json with a CMake config, and Highway as a shared library.
find_package(nlohmann_json 3.10 QUIET)
find_package(MbedCrypto QUIET)  # cmake/FindMbedCrypto.cmake
find_package(xxHash QUIET)      # cmake/FindxxHash.cmake
find_package(LibDeflate QUIET)  # cmake/FindLibDeflate.cmake
find_package(hwy 1.0.3 QUIET CONFIG)
include(fetched_libraries)
