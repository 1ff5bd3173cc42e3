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

# kakeya_unity(<target> SOURCES <files> APART <classes of files>): compiles about ten sources at a time, so that what
# they all include is read, and what they all instantiate is generated, once. Files with private names in common (what
# they have in an anonymous namespace) stay in different units: each class is a string of such files, "chat.cc run.cc".
# Only with KAKEYA_UNITY; SOURCES belong to the current folder or are absolute.
function(kakeya_unity target)
  cmake_parse_arguments(ARG "" "" "SOURCES;APART" ${ARGN})
  if(NOT KAKEYA_UNITY OR NOT ARG_SOURCES)
    return()
  endif()
  list(LENGTH ARG_SOURCES count)
  math(EXPR units "(${count} + 9) / 10")
  set(first "")
  foreach(class ${ARG_APART})
    string(REPLACE " " ";" names "${class}")
    list(LENGTH names size)
    if(size GREATER units)
      set(units ${size})
    endif()
    foreach(name ${names})
      set(found ${ARG_SOURCES})
      list(FILTER found INCLUDE REGEX "(^|/)${name}$")
      if(NOT found)
        message(FATAL_ERROR "kakeya_unity(${target}): no source ${name}")
      endif()
      list(APPEND first ${found})
    endforeach()
  endforeach()
  if(first)
    list(REMOVE_ITEM ARG_SOURCES ${first})
  endif()
  # Dealt out one after the other: the files of a class are neighbours, and no class is longer than the round.
  set(unit 0)
  foreach(source ${first} ${ARG_SOURCES})
    set_source_files_properties(${source} PROPERTIES UNITY_GROUP unit_${unit})
    math(EXPR unit "(${unit} + 1) % ${units}")
  endforeach()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
endfunction()

# kakeya_cold(<target>): commands, requests, answers, downloads, reports. -Og takes the compiler three fifths of the time
# of -O2; loops over weights, vocabularies and cached rows are in other folders.
function(kakeya_cold target)
  if(KAKEYA_FUZZ)
    target_compile_options(${target} PRIVATE -O0)  # as for tests, see below
  elseif(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-Og>)
  endif()
endfunction()

# kakeya_unit_test(<target>): what every unit test binary gets: GoogleTest, cheap optimisation (the sources of tests are
# most of what the compiler has to read; what they call is optimised), one precompiled header of foreign headers for all
# of them, and a place in the target `unit_tests`. GCC alone: it falls back with a warning where clang stops with an error.
function(kakeya_unit_test name)
  target_link_libraries(${name} PRIVATE GTest::gmock GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE KAKEYA_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  # Clang with its sanitizers spends more on optimising tests than most of them take. SLOW_TESTS: not so here.
  set(cheap -Og)
  if(KAKEYA_FUZZ AND NOT SLOW_TESTS)
    set(cheap -O0)
  endif()
  target_compile_options(${name} PRIVATE $<$<NOT:$<CONFIG:Debug>>:${cheap}>)
  if(KAKEYA_FUZZ)
    target_compile_options(${name} PRIVATE -fno-sanitize=fuzzer-no-link)  # nobody asks what a test covers
  endif()
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

# kakeya_add_unit_test(<name> <grids>): unit.<name> without the grids and grids.<name> with them alone. Under emulation
# one core takes minutes for the largest folder: its tests are dealt to two processes.
function(kakeya_add_unit_test name grids)
  set(parts unit.${name})
  if(CMAKE_CROSSCOMPILING)
    set(parts unit.${name}.0 unit.${name}.1)
  endif()
  set(part 0)
  foreach(test ${parts})
    set(environment "")
    if(grids)
      list(APPEND environment "GTEST_FILTER=-${grids}")
    endif()
    if(CMAKE_CROSSCOMPILING)
      list(APPEND environment GTEST_TOTAL_SHARDS=2 GTEST_SHARD_INDEX=${part})
    endif()
    add_test(NAME ${test} COMMAND ${name}_test)
    set_tests_properties(${test} PROPERTIES LABELS unit ENVIRONMENT "${environment}")
    math(EXPR part "${part} + 1")
  endforeach()
  if(grids)
    add_test(NAME grids.${name} COMMAND ${name}_test)
    set_tests_properties(grids.${name} PROPERTIES LABELS grids ENVIRONMENT "GTEST_FILTER=${grids}")
  endif()
endfunction()

# kakeya_module(<folder> DEPS <kakeya folders> LIBS <external targets> TEST_LIBS <external targets>
#               EXCLUDE <patterns of files left out> PRECOMPILE <foreign headers that most sources include>
#               GRIDS <test patterns> APART <classes of files> TESTS_APART <classes of files> SUBFOLDERS FILE_BY_FILE COLD)
# SUBFOLDERS takes the sources of folders below too. APART: see kakeya_unity. FILE_BY_FILE: never several files in one unit.
# COLD: see kakeya_cold.
# GRIDS are long lists of like cases. They run in native builds; under sanitizers and emulation a case of each kind stays
# in unit.<folder>, and these run as grids.<folder>: ctest --preset asan-ubsan -L grids, scripts/test-arm -L grids.
function(kakeya_module name)
  cmake_parse_arguments(ARG "SUBFOLDERS;FILE_BY_FILE;COLD" ""
                        "DEPS;LIBS;PRIVATE_LIBS;TEST_LIBS;EXCLUDE;PRECOMPILE;GRIDS;APART;TESTS_APART" ${ARGN})
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
  if(NOT ARG_FILE_BY_FILE)
    kakeya_unity(kakeya_${name} SOURCES ${sources} APART ${ARG_APART})
  endif()
  if(ARG_COLD)
    kakeya_cold(kakeya_${name})
  endif()
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
    if(NOT ARG_FILE_BY_FILE)
      kakeya_unity(${name}_test SOURCES ${tests} APART ${ARG_TESTS_APART})
    endif()
    set(grids "")
    if(KAKEYA_SANITIZE OR CMAKE_CROSSCOMPILING)
      list(JOIN ARG_GRIDS ":" grids)
    endif()
    kakeya_add_unit_test(${name} "${grids}")
  endif()
endfunction()
