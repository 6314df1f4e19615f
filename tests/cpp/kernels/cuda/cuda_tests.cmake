# Tests of the compiled CUDA kernels (label cuda): their PTX as text and, translated to C++, on the CPU; and on a GPU.
add_library(medsam_cuda_ptx OBJECT "${PROJECT_SOURCE_DIR}/kernels/pixels/cuda/cuda_kernels.cu")
target_include_directories(medsam_cuda_ptx PRIVATE "${PROJECT_SOURCE_DIR}")
set_target_properties(medsam_cuda_ptx PROPERTIES CUDA_PTX_COMPILATION ON CUDA_ARCHITECTURES 75-virtual)
medsam_engine_cuda_options(medsam_cuda_ptx)
add_test(NAME cuda_ptx_rounds_as_the_oracle COMMAND
  "${CMAKE_COMMAND}" -DPTX=$<TARGET_OBJECTS:medsam_cuda_ptx> -P "${CMAKE_CURRENT_LIST_DIR}/check_ptx.cmake")
set_tests_properties(cuda_ptx_rounds_as_the_oracle PROPERTIES LABELS cuda)

set(_translated "${CMAKE_CURRENT_BINARY_DIR}/cuda_kernels_ptx.cpp")
add_custom_command(OUTPUT "${_translated}"
  COMMAND "${Python_EXECUTABLE}" "${CMAKE_CURRENT_LIST_DIR}/ptx_to_cpp.py"
          $<TARGET_OBJECTS:medsam_cuda_ptx> "${_translated}"
  DEPENDS medsam_cuda_ptx $<TARGET_OBJECTS:medsam_cuda_ptx> cuda/ptx_to_cpp.py
  COMMENT "Translating the kernels' PTX to C++" VERBATIM)
add_executable(test_kernels_cuda_ptx ${_sweeps} cuda/test_cuda_only.cpp cuda/cuda_ptx_tables.cpp "${_translated}")
target_link_libraries(test_kernels_cuda_ptx PRIVATE medsam_kernels GTest::gtest_main)
target_compile_options(test_kernels_cuda_ptx PRIVATE -ffp-contract=off)
medsam_engine_warnings(test_kernels_cuda_ptx)
set_source_files_properties("${_translated}" PROPERTIES COMPILE_OPTIONS "-Wno-unused-label;-O1")
gtest_discover_tests(test_kernels_cuda_ptx TEST_PREFIX "test_kernels_cuda_ptx." PROPERTIES LABELS cuda)

add_executable(test_kernels_cuda ${_sweeps} cuda/test_cuda_only.cpp cuda/cuda_device_tables.cpp)
target_link_libraries(test_kernels_cuda PRIVATE medsam_kernels medsam_cuda_kernels CUDA::cudart_static GTest::gtest)
medsam_engine_warnings(test_kernels_cuda)
add_test(NAME test_kernels_cuda COMMAND test_kernels_cuda --gtest_brief=1)
set_tests_properties(test_kernels_cuda PROPERTIES SKIP_RETURN_CODE 77 LABELS cuda)
