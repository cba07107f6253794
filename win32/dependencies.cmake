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
foreach(header asio asio.hpp catch2 cxxopts.hpp fmt nlohmann spdlog toml++)
  if(NOT EXISTS /usr/include/${header})
    message(FATAL_ERROR "/usr/include/${header} is missing: scripts/setup installs what is needed")
  endif()
  file(COPY /usr/include/${header} DESTINATION ${COPIED_HEADERS})
endforeach()
include_directories(SYSTEM ${COPIED_HEADERS})

# find_package() looks here first: these need no library, only the headers above.
file(WRITE ${CMAKE_FIND_PACKAGE_REDIRECTS_DIR}/spdlog-config.cmake [[
if(NOT TARGET spdlog::spdlog)
  add_library(spdlog::spdlog INTERFACE IMPORTED)
  target_compile_definitions(spdlog::spdlog INTERFACE SPDLOG_FMT_EXTERNAL FMT_HEADER_ONLY)
endif()
]])
file(WRITE ${CMAKE_FIND_PACKAGE_REDIRECTS_DIR}/nlohmann_json-config.cmake [[
if(NOT TARGET nlohmann_json::nlohmann_json)
  add_library(nlohmann_json::nlohmann_json INTERFACE IMPORTED)
endif()
]])
file(WRITE ${CMAKE_FIND_PACKAGE_REDIRECTS_DIR}/catch2-config.cmake [[
if(NOT TARGET Catch2::Catch2)
  add_library(Catch2::Catch2 INTERFACE IMPORTED)
endif()
]])
file(WRITE ${CMAKE_FIND_PACKAGE_REDIRECTS_DIR}/catch2-config-version.cmake [[
set(PACKAGE_VERSION 2)
set(PACKAGE_VERSION_COMPATIBLE TRUE)
]])

set(HTTP_PARSER ${CMAKE_SOURCE_DIR}/build/windows/sources/http-parser)
if(NOT EXISTS ${HTTP_PARSER}/http_parser.c)
  message(FATAL_ERROR "The source of http_parser is not in ${HTTP_PARSER}: run scripts/windows-libraries first.")
endif()
enable_language(C)
add_library(http_parser STATIC ${HTTP_PARSER}/http_parser.c)
target_include_directories(http_parser SYSTEM PUBLIC ${HTTP_PARSER})
