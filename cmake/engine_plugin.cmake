# A plugin: a library of its own that the engine's opens when it is needed (cpp/src/backends/plugin.hpp). It lies beside the
# engine's library and links it, for the types of its errors; it exports its entry point alone.
#   medsam_engine_plugin(TARGET SOURCES... ): its vendor's libraries and rpath are the caller's to add
set(MEDSAM_ENGINE_PLUGIN_MAP "${PROJECT_SOURCE_DIR}/cpp/medsam_engine_plugin.map")
function(medsam_engine_plugin name)
  add_library(${name} MODULE ${ARGN})
  target_include_directories(${name} PRIVATE src)
  target_link_libraries(${name} PRIVATE medsam_base medsam_engine)
  medsam_engine_warnings(${name})
  if(MEDSAM_ENGINE_HAS_VERSION_SCRIPT)
    target_link_options(${name} PRIVATE "LINKER:--version-script=${MEDSAM_ENGINE_PLUGIN_MAP}")
    set_property(TARGET ${name} APPEND PROPERTY LINK_DEPENDS "${MEDSAM_ENGINE_PLUGIN_MAP}")
  endif()
  set_target_properties(${name} PROPERTIES INSTALL_RPATH "$ORIGIN")
  install(TARGETS ${name} LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT Runtime)
  if(MEDSAM_ENGINE_PYTHON)
    install(TARGETS ${name} LIBRARY DESTINATION medsam_engine/lib COMPONENT python)
  endif()
endfunction()
