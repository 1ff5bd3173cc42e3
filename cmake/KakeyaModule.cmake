# One CMake target per folder. Sources are picked up by name:
#   *.cc -> the folder's library, *_test.cc -> <folder>_test (gtest), *_bench.cc -> left to bench/micro.

add_library(kakeya_flags INTERFACE)
target_compile_features(kakeya_flags INTERFACE cxx_std_20)
# No contraction: a fused multiply-add must never change a rounding that golden vectors pin.
target_compile_options(kakeya_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow -ffp-contract=off
                                              -fno-math-errno)
if(KAKEYA_SANITIZE)
  target_compile_options(kakeya_flags INTERFACE -fsanitize=${KAKEYA_SANITIZE} -fno-sanitize-recover=all
                                                -fno-omit-frame-pointer)
  target_link_options(kakeya_flags INTERFACE -fsanitize=${KAKEYA_SANITIZE})
endif()

# kakeya_module(<folder> DEPS <kakeya folders> LIBS <external targets> TEST_LIBS <external targets>
#               EXCLUDE <patterns of files left out> SUBFOLDERS): SUBFOLDERS takes those of folders below too
function(kakeya_module name)
  cmake_parse_arguments(ARG "SUBFOLDERS" "" "DEPS;LIBS;PRIVATE_LIBS;TEST_LIBS;EXCLUDE" ${ARGN})
  set(glob GLOB)
  if(ARG_SUBFOLDERS)
    set(glob GLOB_RECURSE)
  endif()
  file(${glob} sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  foreach(pattern ${ARG_EXCLUDE})
    list(FILTER sources EXCLUDE REGEX "${pattern}")
  endforeach()
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER sources EXCLUDE REGEX "_(test|bench)\\.cc$")
  if(NOT sources)
    return()
  endif()
  add_library(kakeya_${name} STATIC ${sources})
  target_include_directories(kakeya_${name} PUBLIC ${CMAKE_SOURCE_DIR}/include
                                                   ${CMAKE_SOURCE_DIR}/src)
  target_link_libraries(kakeya_${name} PUBLIC kakeya_flags ${ARG_LIBS} PRIVATE ${ARG_PRIVATE_LIBS})
  foreach(dep ${ARG_DEPS})
    if(TARGET kakeya_${dep})
      target_link_libraries(kakeya_${name} PUBLIC kakeya_${dep})
    endif()
  endforeach()
  if(KAKEYA_TESTS AND tests AND TARGET kakeya_${name})
    add_executable(${name}_test ${tests})
    target_link_libraries(${name}_test PRIVATE kakeya_${name} ${ARG_TEST_LIBS} GTest::gmock
                                               GTest::gtest_main)
    target_compile_definitions(${name}_test PRIVATE KAKEYA_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
    add_test(NAME unit.${name} COMMAND ${name}_test)
    set_tests_properties(unit.${name} PROPERTIES LABELS unit)
  endif()
endfunction()
