# One precompiled header for all our targets, the library's and the programs' alike. It is compiled with i1_options and
# nothing else, and a compiler takes it only where the same options stand: what a target alone defines goes elsewhere.
option(I1_USE_PRECOMPILED_HEADER "parse the common headers once; OFF shows where a file lacks an #include" ON)

function(i1_make_precompiled_header)
  if(I1_USE_PRECOMPILED_HEADER)
    add_library(i1_precompiled OBJECT "${CMAKE_SOURCE_DIR}/cmake/precompiled.cpp")
    target_link_libraries(i1_precompiled PRIVATE i1_options libtorch nlohmann_json::nlohmann_json)
    target_precompile_headers(i1_precompiled PRIVATE "$<$<COMPILE_LANGUAGE:CXX>:${CMAKE_SOURCE_DIR}/cmake/precompiled.h>")
  endif()
endfunction()

function(i1_use_precompiled_header target)
  if(I1_USE_PRECOMPILED_HEADER)
    target_precompile_headers(${target} REUSE_FROM i1_precompiled)
  endif()
endfunction()
