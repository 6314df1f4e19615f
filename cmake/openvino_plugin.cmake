# The OpenVINO plugin, a library of its own beside the engine's, so that a process whose stages are all native does not load
# OpenVINO. MEDSAM_ENGINE_OPENVINO = OFF leaves it out: OpenVINO's devices and every graph are then refused in one line.
if(NOT MEDSAM_ENGINE_OPENVINO)
  message(STATUS "OpenVINO plugin: not built, MEDSAM_ENGINE_OPENVINO is OFF; native stages alone will run")
  return()
endif()

medsam_engine_plugin(medsam_engine_openvino
  src/backends/openvino/backend.cpp
  src/backends/openvino/mixed.cpp)
target_link_libraries(medsam_engine_openvino PRIVATE openvino::runtime)

# Beside the plugin first; then where OpenVINO was at build time, since its soname names exactly that version.
# INSTALL_RPATH_USE_LINK_PATH would leave out a .venv inside the source tree. A wheel must not name this machine's folders:
# the openvino wheel lies beside ours, two folders up from medsam_engine/lib.
if(MEDSAM_ENGINE_PYTHON)
  set(_openvino "${MEDSAM_ENGINE_BESIDE}/../../openvino/libs")
else()
  get_target_property(_openvino openvino::runtime IMPORTED_LOCATION_RELEASE)
  get_filename_component(_openvino "${_openvino}" DIRECTORY)
endif()
set_property(TARGET medsam_engine_openvino APPEND PROPERTY INSTALL_RPATH "${_openvino}")
