# Dependencies of the folders base, kernels, lattice and kv alone, for cross-compiling: the header-only ones come
# from the build machine's packages through links (its /usr/include as a whole must stay out of sight), GoogleTest
# is built from Debian's sources. OpenSSL is left out, and with it base/digest and base/sha256.
find_package(Threads REQUIRED)
set(headers ${CMAKE_BINARY_DIR}/headers)
file(MAKE_DIRECTORY ${headers})
foreach(package hwy fmt nlohmann)
  if(NOT EXISTS /usr/include/${package})
    message(FATAL_ERROR "headers of ${package} not found in /usr/include: run scripts/setup")
  endif()
  file(CREATE_LINK /usr/include/${package} ${headers}/${package} SYMBOLIC)
endforeach()
add_library(kakeya_headers INTERFACE)
target_include_directories(kakeya_headers SYSTEM INTERFACE ${headers})
target_compile_definitions(kakeya_headers INTERFACE FMT_HEADER_ONLY)
foreach(name fmt::fmt PkgConfig::HWY nlohmann_json::nlohmann_json)
  add_library(${name} ALIAS kakeya_headers)
endforeach()
add_subdirectory(/usr/src/googletest ${CMAKE_BINARY_DIR}/googletest EXCLUDE_FROM_ALL)
