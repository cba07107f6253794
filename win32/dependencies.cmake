# What the Windows build takes from elsewhere.
#
# Native (MSVC): all by vcpkg.json. Cross (the mingw preset, on Debian): header-only libraries are copies of Debian's
# headers, made here at configure time; /usr/include itself must never be in the path of another system's compiler.
# http_parser is compiled from the Debian source package that scripts/windows-libraries fetches.
add_compile_definitions(_WIN32_WINNT=0x0A00 WIN32_LEAN_AND_MEAN NOMINMAX)

if(NOT CMAKE_CROSSCOMPILING)
  find_package(unofficial-http-parser CONFIG REQUIRED)
  add_library(http_parser INTERFACE)
  target_link_libraries(http_parser INTERFACE unofficial::http_parser::http_parser)
  return()
endif()

add_link_options(-static)  # no DLL of the compiler's beside the program

set(COPIED_HEADERS ${CMAKE_BINARY_DIR}/headers)
foreach(header asio asio.hpp catch2 cxxopts.hpp fmt nlohmann pg_query pg_query.h protobuf-c restinio spdlog toml++ xxhash.h)
  if(NOT EXISTS /usr/include/${header})
    message(FATAL_ERROR "/usr/include/${header} is missing: scripts/setup installs what is needed")
  endif()
  file(COPY /usr/include/${header} DESTINATION ${COPIED_HEADERS})
endforeach()
include_directories(SYSTEM ${COPIED_HEADERS})

# What Debian's mingw packages do not have is compiled from Debian's source packages.
set(SOURCES ${CMAKE_SOURCE_DIR}/build/windows/sources)
foreach(package http-parser postgresql-15 prometheus-cpp protobuf-c)
  if(NOT EXISTS ${SOURCES}/${package})
    message(FATAL_ERROR "The source of ${package} is not in ${SOURCES}: run scripts/windows-libraries first.")
  endif()
endforeach()
enable_language(C)
add_library(http_parser STATIC ${SOURCES}/http-parser/http_parser.c)
target_include_directories(http_parser SYSTEM PUBLIC ${SOURCES}/http-parser)
add_library(protobuf-c STATIC ${SOURCES}/protobuf-c/protobuf-c/protobuf-c.c)
target_include_directories(protobuf-c PRIVATE ${SOURCES}/protobuf-c)
# Of prometheus-cpp the writer of the text form, with a header that its own build would write.
file(WRITE ${CMAKE_BINARY_DIR}/prometheus/prometheus/detail/core_export.h "#define PROMETHEUS_CPP_CORE_EXPORT\n")
add_library(prometheus STATIC ${SOURCES}/prometheus-cpp/core/src/serializer.cc
                              ${SOURCES}/prometheus-cpp/core/src/text_serializer.cc)
target_include_directories(prometheus SYSTEM PUBLIC ${SOURCES}/prometheus-cpp/core/include ${CMAKE_BINARY_DIR}/prometheus)
# xxHash is one header that can be told to be its own library.
file(WRITE ${CMAKE_BINARY_DIR}/xxhash.c "#define XXH_STATIC_LINKING_ONLY\n#define XXH_IMPLEMENTATION\n#include <xxhash.h>\n")
add_library(xxhash STATIC ${CMAKE_BINARY_DIR}/xxhash.c)
include(${CMAKE_CURRENT_LIST_DIR}/postgres/postgres.cmake)

# find_package() looks here first. `used_as <package> <target> ...`: the target that stands for a package's.
function(used_as package target)
  file(WRITE ${CMAKE_FIND_PACKAGE_REDIRECTS_DIR}/${package}-config.cmake
       "if(NOT TARGET ${target})\n  add_library(${target} INTERFACE IMPORTED)\n"
       "  set_target_properties(${target} PROPERTIES INTERFACE_LINK_LIBRARIES \"${ARGN}\")\nendif()\n")
endfunction()
add_library(header-only-fmt INTERFACE)
target_compile_definitions(header-only-fmt INTERFACE SPDLOG_FMT_EXTERNAL FMT_HEADER_ONLY)
used_as(spdlog spdlog::spdlog header-only-fmt)
used_as(fmt fmt::fmt header-only-fmt)
used_as(nlohmann_json nlohmann_json::nlohmann_json)
used_as(postgresql PostgreSQL::PostgreSQL pq)
used_as(prometheus-cpp prometheus-cpp::core prometheus)
used_as(catch2 Catch2::Catch2)
file(WRITE ${CMAKE_FIND_PACKAGE_REDIRECTS_DIR}/catch2-config-version.cmake [[
set(PACKAGE_VERSION 2)
set(PACKAGE_VERSION_COMPATIBLE TRUE)
]])
# What has no package is searched for by name: found.
foreach(library HTTP_PARSER:http_parser PG_QUERY:pg_query PROTOBUF_C:protobuf-c XXHASH:xxhash)
  string(REPLACE ":" ";" library ${library})
  list(GET library 0 variable)
  list(GET library 1 target)
  set(${variable}_LIBRARY ${target} CACHE INTERNAL "")
  set(${variable}_INCLUDE_DIR ${COPIED_HEADERS} CACHE INTERNAL "")
endforeach()
