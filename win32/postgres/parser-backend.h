/* The backend around PostgreSQL's parser: its memory and its errors, for one parse at a time on each thread.
 */
#ifndef PGTANDEM_PARSER_BACKEND_H
#define PGTANDEM_PARSER_BACKEND_H

#include "postgres.h"

/* Calls `work`. What it allocates (palloc) is freed afterwards. Returns NULL, or where it raised an error the
 * error's message, which is the caller's to free(). */
char* parser_run(void (*work)(void*), void* argument);

#endif
