# Two libraries from the source package of PostgreSQL 15, for the mingw preset (../dependencies.cmake includes this):
# pq is libpq without TLS; pg_query is PostgreSQL's own parser behind the interface of libpg_query.
set(POSTGRES_SOURCE ${CMAKE_SOURCE_DIR}/build/windows/sources/postgresql-15/src)
set(POSTGRES_OURS ${CMAKE_CURRENT_LIST_DIR})
set(POSTGRES_MADE ${CMAKE_BINARY_DIR}/postgres)
if(NOT EXISTS ${POSTGRES_SOURCE}/interfaces/libpq/libpq-fe.h)
  message(FATAL_ERROR "The source of PostgreSQL is not in ${POSTGRES_SOURCE}: run scripts/windows-libraries first.")
endif()

# What configure and the makefiles put beside the sources.
file(COPY ${POSTGRES_OURS}/pg_config.h DESTINATION ${POSTGRES_MADE}/include)
file(WRITE ${POSTGRES_MADE}/include/pg_config_ext.h "#define PG_INT64_TYPE long long int\n")
file(COPY ${POSTGRES_OURS}/pg_config_os.h DESTINATION ${POSTGRES_MADE}/include)
file(WRITE ${POSTGRES_MADE}/include/pg_config_paths.h "#define SYSCONFDIR \"C:/ProgramData/postgresql\"\n")

function(postgres_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;INCLUDES" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE ${POSTGRES_MADE}/include ${ARG_INCLUDES} ${POSTGRES_SOURCE}/include
                             ${POSTGRES_SOURCE}/include/port/win32 ${POSTGRES_SOURCE}/port)
  target_compile_definitions(${name} PRIVATE WIN32 __USE_MINGW_ANSI_STDIO=0)
  target_compile_options(${name} PRIVATE -w -fno-strict-aliasing -fwrapv)
endfunction()

set(LIBPQ ${POSTGRES_SOURCE}/interfaces/libpq)
set(LIBPQ_SOURCES fe-auth.c fe-auth-scram.c fe-connect.c fe-exec.c fe-misc.c fe-print.c fe-protocol3.c fe-secure.c
                  fe-trace.c legacy-pqsignal.c libpq-events.c pqexpbuffer.c pthread-win32.c win32.c)
list(TRANSFORM LIBPQ_SOURCES PREPEND ${LIBPQ}/)
set(LIBPQ_COMMON base64.c cryptohash.c encnames.c hmac.c ip.c link-canary.c md5.c md5_common.c saslprep.c scram-common.c
                 sha1.c sha2.c string.c unicode_norm.c wchar.c)
list(TRANSFORM LIBPQ_COMMON PREPEND ${POSTGRES_SOURCE}/common/)
set(LIBPQ_PORT chklocale.c dirmod.c explicit_bzero.c getaddrinfo.c getpeereid.c inet_aton.c inet_net_ntop.c noblock.c open.c
               pg_bitutils.c pg_strong_random.c pgsleep.c pgstrcasecmp.c snprintf.c strerror.c strlcpy.c system.c timingsafe_bcmp.c
               win32common.c win32error.c win32ntdll.c win32setlocale.c win32stat.c)
list(TRANSFORM LIBPQ_PORT PREPEND ${POSTGRES_SOURCE}/port/)
postgres_library(pq SOURCES ${LIBPQ_SOURCES} ${LIBPQ_COMMON} ${LIBPQ_PORT})
target_compile_definitions(pq PRIVATE FRONTEND UNSAFE_STAT_OK)
# pthread-win32.c has its own of these; the compiler's library has them too.
foreach(function self getspecific setspecific mutex_init mutex_lock mutex_unlock)
  target_compile_definitions(pq PRIVATE pthread_${function}=libpq_pthread_${function})
endforeach()
target_include_directories(pq SYSTEM PUBLIC ${LIBPQ} INTERFACE ${POSTGRES_MADE}/libpq)
target_link_libraries(pq PUBLIC ws2_32 secur32 shell32 advapi32)
# libpq-fe.h includes two of PostgreSQL's headers; of the others our own sources see nothing.
file(COPY ${POSTGRES_SOURCE}/include/postgres_ext.h ${POSTGRES_MADE}/include/pg_config_ext.h DESTINATION ${POSTGRES_MADE}/libpq)

# The parser. Its messages are those of Debian's libpg-query-dev.
find_program(PROTOC_C protoc-c)
find_program(PYTHON3 python3)
if(NOT PROTOC_C OR NOT PYTHON3)
  message(FATAL_ERROR "protoc-c or python3 is missing: install Debian's protobuf-c-compiler (scripts/setup --windows does it)")
endif()
set(MESSAGES /usr/include/pg_query)
set(BACKEND ${POSTGRES_SOURCE}/backend)
file(GLOB CATALOGUE_HEADERS ${BACKEND}/catalog/*_d.h)  # not ours, and as many as the package has
file(COPY ${CATALOGUE_HEADERS} DESTINATION ${POSTGRES_MADE}/backend/catalog)
file(COPY ${BACKEND}/utils/errcodes.h ${BACKEND}/utils/fmgroids.h ${BACKEND}/utils/fmgrprotos.h
     DESTINATION ${POSTGRES_MADE}/backend/utils)
file(COPY ${BACKEND}/storage/lmgr/lwlocknames.h DESTINATION ${POSTGRES_MADE}/backend/storage)
file(COPY ${BACKEND}/parser/gram.h DESTINATION ${POSTGRES_MADE}/backend/parser)

set(PARSER_MADE ${POSTGRES_MADE}/parser)
file(MAKE_DIRECTORY ${PARSER_MADE})
add_custom_command(OUTPUT ${PARSER_MADE}/pg_query.pb-c.c ${PARSER_MADE}/pg_query.pb-c.h
                   COMMAND ${PROTOC_C} --proto_path=${MESSAGES} --c_out=${PARSER_MADE} pg_query.proto
                   DEPENDS ${MESSAGES}/pg_query.proto
                   VERBATIM)
add_custom_command(OUTPUT ${PARSER_MADE}/parser-messages.inc
                   COMMAND ${PYTHON3} ${POSTGRES_OURS}/tree-writer.py ${MESSAGES}/pg_query.proto ${MESSAGES}/pg_query.pb-c.h
                           ${PARSER_MADE}/parser-messages.inc
                   DEPENDS ${POSTGRES_OURS}/tree-writer.py ${MESSAGES}/pg_query.proto ${MESSAGES}/pg_query.pb-c.h
                   VERBATIM)
set_source_files_properties(${POSTGRES_OURS}/parser.c PROPERTIES OBJECT_DEPENDS ${PARSER_MADE}/parser-messages.inc)
set_source_files_properties(${BACKEND}/parser/scan.c PROPERTIES COMPILE_OPTIONS "-include;${POSTGRES_OURS}/parser-thread.h")

postgres_library(pg_query
  SOURCES ${POSTGRES_OURS}/parser.c ${POSTGRES_OURS}/parser-backend.c ${POSTGRES_OURS}/parser-unused.c
          ${PARSER_MADE}/pg_query.pb-c.c
          ${BACKEND}/parser/gram.c ${BACKEND}/parser/parser.c ${BACKEND}/parser/scan.c ${BACKEND}/parser/scansup.c
          ${BACKEND}/nodes/bitmapset.c ${BACKEND}/nodes/copyfuncs.c ${BACKEND}/nodes/equalfuncs.c ${BACKEND}/nodes/list.c
          ${BACKEND}/nodes/makefuncs.c ${BACKEND}/nodes/nodeFuncs.c ${BACKEND}/nodes/value.c
          ${POSTGRES_SOURCE}/common/keywords.c ${POSTGRES_SOURCE}/common/kwlookup.c ${POSTGRES_SOURCE}/common/psprintf.c
          ${POSTGRES_SOURCE}/common/stringinfo.c
  INCLUDES ${POSTGRES_OURS} ${PARSER_MADE} ${POSTGRES_MADE}/backend ${POSTGRES_SOURCE}/common ${BACKEND}/parser)
target_link_libraries(pg_query PUBLIC protobuf-c pq)  # pq: both use the same files of common/ and port/
