/* What PostgreSQL's configure finds out, for 64-bit Windows and mingw-w64: libpq and the parser are compiled with this, by
 * win32/postgres/postgres.cmake, instead of running a configure of a minute. The names are PostgreSQL's (pg_config.h.in). */
#define ALIGNOF_DOUBLE 8
#define ALIGNOF_INT 4
#define ALIGNOF_LONG 4
#define ALIGNOF_LONG_LONG_INT 8
#define ALIGNOF_PG_INT128_TYPE 16
#define ALIGNOF_SHORT 2
#define MAXIMUM_ALIGNOF 8
#define SIZEOF_BOOL 1
#define SIZEOF_LONG 4
#define SIZEOF_OFF_T 4
#define SIZEOF_SIZE_T 8
#define SIZEOF_VOID_P 8
#define INT64_MODIFIER "ll"
#define PG_INT64_TYPE long long int
#define PG_INT128_TYPE __int128
#define HAVE_LONG_LONG_INT_64 1

/* The language and the compiler. */
#define HAVE_FUNCNAME__FUNC 1
#define HAVE_COMPUTED_GOTO 1
#define HAVE_TYPEOF 1
#define HAVE__BUILTIN_BSWAP16 1
#define HAVE__BUILTIN_BSWAP32 1
#define HAVE__BUILTIN_BSWAP64 1
#define HAVE__BUILTIN_CLZ 1
#define HAVE__BUILTIN_CONSTANT_P 1
#define HAVE__BUILTIN_CTZ 1
#define HAVE__BUILTIN_OP_OVERFLOW 1
#define HAVE__BUILTIN_POPCOUNT 1
#define HAVE__BUILTIN_TYPES_COMPATIBLE_P 1
#define HAVE__BUILTIN_UNREACHABLE 1
#define HAVE__STATIC_ASSERT 1
#define HAVE_GCC__ATOMIC_INT32_CAS 1
#define HAVE_GCC__ATOMIC_INT64_CAS 1
#define PG_C_PRINTF_ATTRIBUTE gnu_printf
#define PG_USE_STDBOOL 1
#define pg_restrict __restrict

/* Headers and functions. */
#define STDC_HEADERS 1
#define HAVE_CRTDEFS_H 1
#define HAVE_INTTYPES_H 1
#define HAVE_STDINT_H 1
#define HAVE_STDLIB_H 1
#define HAVE_STRINGS_H 1
#define HAVE_STRING_H 1
#define HAVE_SYS_STAT_H 1
#define HAVE_SYS_TYPES_H 1
#define HAVE_UNISTD_H 1
#define HAVE_WCTYPE_H 1
#define HAVE_DECL_FDATASYNC 0
#define HAVE_DECL_F_FULLFSYNC 0
#define HAVE_DECL_MEMSET_S 0
#define HAVE_DECL_POSIX_FADVISE 0
#define HAVE_DECL_PREADV 0
#define HAVE_DECL_PWRITEV 0
#define HAVE_DECL_RTLD_GLOBAL 0
#define HAVE_DECL_RTLD_NOW 0
#define HAVE_DECL_SIGWAIT 0
#define HAVE_DECL_STRCHRNUL 0
#define HAVE_DECL_STRLCAT 0
#define HAVE_DECL_STRLCPY 0
#define HAVE_DECL_STRNLEN 1
#define HAVE_DECL_STRTOLL 1
#define HAVE_DECL_STRTOULL 1
#define HAVE_DECL_TIMINGSAFE_BCMP 0
#define HAVE_CLOCK_GETTIME 1
#define HAVE_FSEEKO 1
#define HAVE_GETTIMEOFDAY 1
#define HAVE_INET_PTON 1
#define HAVE_INT_TIMEZONE 1
#define HAVE_SETENV 1
#define HAVE_STRNLEN 1
#define HAVE_STRTOF 1
#define HAVE_STRTOLL 1
#define HAVE_STRTOULL 1
#define HAVE_UNSETENV 1
#define HAVE__CONFIGTHREADLOCALE 1

/* Sockets. */
#define HAVE_IPV6 1
#define HAVE_SOCKLEN_T 1
#define HAVE_STRUCT_ADDRINFO 1
#define HAVE_STRUCT_SOCKADDR_STORAGE 1
#define HAVE_STRUCT_SOCKADDR_STORAGE_SS_FAMILY 1

/* PostgreSQL's own. */
#define BLCKSZ 8192
#define RELSEG_SIZE 131072
#define XLOG_BLCKSZ 8192
#define MEMSET_LOOP_LIMIT 1024
#define DEF_PGPORT 5432
#define DEF_PGPORT_STR "5432"
#define DLSUFFIX ".dll"
#define ENABLE_THREAD_SAFETY 1
#define PG_KRB_SRVNAM "postgres"
#define PG_MAJORVERSION "15"
#define PG_MAJORVERSION_NUM 15
#define PG_VERSION "15"
#define PG_VERSION_NUM 150000
#define PG_VERSION_STR "PostgreSQL 15 (libpq for pgtandem)"
