# medsam_engine_precompiled_headers(TARGET [HEADER...]): the standard headers that most sources include, and these, read once
# for all sources of a target: reading them is a third of a sanitizer's build. Only where MEDSAM_ENGINE_PRECOMPILED_HEADERS says so,
# since a source that lacks an include compiles with them, and ccache keeps nothing that was compiled with them.
option(MEDSAM_ENGINE_PRECOMPILED_HEADERS "Precompile the standard headers for each target" OFF)

function(medsam_engine_precompiled_headers target)
  if(MEDSAM_ENGINE_PRECOMPILED_HEADERS)
    target_precompile_headers(${target} PRIVATE
      <algorithm> <array> <cmath> <cstdint> <cstring> <filesystem> <functional> <limits> <map> <memory> <mutex> <optional>
      <string> <string_view> <thread> <utility> <vector> ${ARGN})
  endif()
endfunction()
