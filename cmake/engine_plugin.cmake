# A plugin: a library of its own that the engine's opens when it is needed (cpp/src/backends/plugin.hpp). It lies beside the
# engine's library and links it, for the types of its errors; it exports its entry point alone.
#   medsam_engine_plugin(TARGET SOURCES... ): its vendor's libraries and rpath are the caller's to add
function(medsam_engine_plugin name)
  add_library(${name} MODULE ${ARGN})
  target_include_directories(${name} PRIVATE src)
  target_link_libraries(${name} PRIVATE medsam_base medsam_engine)
  medsam_engine_warnings(${name})
  medsam_engine_exports(${name} medsam_engine_plugin)
  set_target_properties(${name} PROPERTIES INSTALL_RPATH "${MEDSAM_ENGINE_BESIDE}")
  install(TARGETS ${name} LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT Runtime)
  if(MEDSAM_ENGINE_PYTHON)
    install(TARGETS ${name} LIBRARY DESTINATION medsam_engine/lib COMPONENT python)
  endif()
endfunction()
