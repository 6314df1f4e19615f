# Warnings for our own targets only; consumers and vendor code keep theirs.
function(medsam_engine_warnings target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion)
  # GCC 12's -Wrestrict is wrong about std::string's operator+ (GCC bug 105651).
  target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
  if(MEDSAM_ENGINE_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
endfunction()

# The same for nvcc and its host compiler (without -Wpedantic, which nvcc's own line directives offend), and the kernels'
# rule: a multiply and an add must not become an FMA. The kernels are small and tested as a whole: warnings are errors.
function(medsam_engine_cuda_options target)
  target_compile_options(${target} PRIVATE
    --fmad=false -Werror=all-warnings --threads=0 --compress-mode=size
    "-Xcompiler=-Wall,-Wextra,-Wshadow,-Wconversion,-Wno-sign-conversion,-Werror,-ffp-contract=off")
endfunction()
