/* In place of a link to port/win32.h. */
#include "port/win32.h"

/* No DLL is made. */
#undef PGDLLIMPORT
#define PGDLLIMPORT
