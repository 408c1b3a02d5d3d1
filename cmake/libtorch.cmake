# LibTorch from the pip wheel (or any unpacked LibTorch): headers and libraries, no Python, no Caffe2 scripts.
# `run` unpacks it into libtorch/; another one is named with -DI1_LIBTORCH=FOLDER (the folder with include/ and lib/).
set(I1_LIBTORCH "${CMAKE_SOURCE_DIR}/libtorch/torch" CACHE PATH "LibTorch: the folder that holds include/ and lib/")
if(NOT EXISTS "${I1_LIBTORCH}/lib/libtorch_cpu.so")
  message(FATAL_ERROR "no LibTorch at ${I1_LIBTORCH}: run ./run setup, or give -DI1_LIBTORCH=FOLDER (with include/ and lib/)")
endif()

add_library(libtorch INTERFACE)
target_include_directories(libtorch SYSTEM INTERFACE
  "${I1_LIBTORCH}/include" "${I1_LIBTORCH}/include/torch/csrc/api/include")
target_link_libraries(libtorch INTERFACE
  "${I1_LIBTORCH}/lib/libtorch_cpu.so" "${I1_LIBTORCH}/lib/libc10.so")
target_link_options(libtorch INTERFACE "LINKER:-rpath,${I1_LIBTORCH}/lib")

# The CUDA wheel holds the same and libtorch_cuda, whose operators register themselves when it is loaded.
if(EXISTS "${I1_LIBTORCH}/lib/libtorch_cuda.so")
  set(I1_LIBTORCH_HAS_CUDA ON)
  target_link_libraries(libtorch INTERFACE "-Wl,--no-as-needed"
    "${I1_LIBTORCH}/lib/libtorch_cuda.so" "${I1_LIBTORCH}/lib/libc10_cuda.so" "-Wl,--as-needed")
else()
  set(I1_LIBTORCH_HAS_CUDA OFF)
endif()
