# Warnings for our own targets only; consumers and vendor code keep theirs.
function(medsam_engine_warnings target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion)
  # GCC 12's -Wrestrict is wrong about std::string's operator+ (GCC bug 105651).
  target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
  if(MEDSAM_ENGINE_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
endfunction()
