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

# kakeya_unit_test(<target>): what every unit test binary gets: GoogleTest, cheap optimisation (the sources of tests are
# most of what the compiler has to read; what they call is optimised), one precompiled header of foreign headers for all
# of them, and a place in the target `unit_tests`. GCC alone: it falls back with a warning where clang stops with an error.
function(kakeya_unit_test name)
  target_link_libraries(${name} PRIVATE GTest::gmock GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE KAKEYA_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  target_compile_options(${name} PRIVATE $<$<NOT:$<CONFIG:Debug>>:-Og>)
  if(NOT TARGET unit_tests)
    add_custom_target(unit_tests)
  endif()
  add_dependencies(unit_tests ${name})
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    return()
  endif()
  get_property(first GLOBAL PROPERTY KAKEYA_FIRST_UNIT_TEST)
  if(first)
    target_precompile_headers(${name} REUSE_FROM ${first})
  else()
    set_property(GLOBAL PROPERTY KAKEYA_FIRST_UNIT_TEST ${name})
    target_link_libraries(${name} PRIVATE nlohmann_json::nlohmann_json)
    target_precompile_headers(${name} PRIVATE <gmock/gmock.h> <gtest/gtest.h> <nlohmann/json.hpp> <fmt/format.h> <cmath>
                              <filesystem> <fstream> <random> <thread>)
  endif()
endfunction()

# kakeya_module(<folder> DEPS <kakeya folders> LIBS <external targets> TEST_LIBS <external targets>
#               EXCLUDE <patterns of files left out> PRECOMPILE <foreign headers that most sources include>
#               GRIDS <test patterns> SUBFOLDERS)
# SUBFOLDERS takes the sources of folders below too.
# GRIDS are long lists of like cases. They run in native builds; under sanitizers and emulation a case of each kind stays
# in unit.<folder>, and these run as grids.<folder>: ctest --preset asan-ubsan -L grids, scripts/test-arm -L grids.
function(kakeya_module name)
  cmake_parse_arguments(ARG "SUBFOLDERS" "" "DEPS;LIBS;PRIVATE_LIBS;TEST_LIBS;EXCLUDE;PRECOMPILE;GRIDS" ${ARGN})
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
  if(ARG_PRECOMPILE)
    target_precompile_headers(kakeya_${name} PRIVATE ${ARG_PRECOMPILE})
  endif()
  foreach(dep ${ARG_DEPS})
    if(TARGET kakeya_${dep})
      target_link_libraries(kakeya_${name} PUBLIC kakeya_${dep})
    endif()
  endforeach()
  if(KAKEYA_TESTS AND tests AND TARGET kakeya_${name})
    add_executable(${name}_test ${tests})
    target_link_libraries(${name}_test PRIVATE kakeya_${name} ${ARG_TEST_LIBS})
    kakeya_unit_test(${name}_test)
    add_test(NAME unit.${name} COMMAND ${name}_test)
    set_tests_properties(unit.${name} PROPERTIES LABELS unit)
    if(ARG_GRIDS AND (KAKEYA_SANITIZE OR CMAKE_CROSSCOMPILING))
      list(JOIN ARG_GRIDS ":" grids)
      set_tests_properties(unit.${name} PROPERTIES ENVIRONMENT "GTEST_FILTER=-${grids}")
      add_test(NAME grids.${name} COMMAND ${name}_test)
      set_tests_properties(grids.${name} PROPERTIES LABELS grids ENVIRONMENT "GTEST_FILTER=${grids}")
    endif()
  endif()
endfunction()
