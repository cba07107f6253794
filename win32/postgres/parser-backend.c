#include "parser-backend.h"

#include "commands/defrem.h"
#include "catalog/namespace.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/memutils.h"

#include <stddef.h>

enum { kBlock = 64 << 10 };

/* Memory is given out from blocks, and given back all at once. */
struct block {
  struct block* next;
  size_t used, size;
  max_align_t bytes[];
};

struct backend {
  struct block* blocks;
  void* on_error[5]; /* as __builtin_setjmp() wants it: Windows' own longjmp() would unwind C++ frames */
  char* message;
};

static __thread struct backend* backend;
static __thread ErrorContextCallback* error_callbacks;

/* In front of each piece; the last word is where a backend has the piece's memory context, which nobody here
 * follows. */
struct piece {
  size_t size;
  void* context;
};

MemoryContext CurrentMemoryContext = NULL;

void* palloc(Size size) {
  const size_t whole =
      (sizeof(struct piece) + size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
  struct block* block = backend->blocks;
  if (block == NULL || block->size - block->used < whole) {
    const size_t wanted = whole > kBlock ? whole : kBlock;
    block = malloc(sizeof *block + wanted);
    if (block == NULL) elog(ERROR, "out of memory");
    block->next = backend->blocks;
    block->used = 0;
    block->size = wanted;
    backend->blocks = block;
  }
  struct piece* piece = (struct piece*)((char*)block->bytes + block->used);
  block->used += whole;
  piece->size = size;
  piece->context = NULL;
  return piece + 1;
}

void* palloc0(Size size) {
  return memset(palloc(size), 0, size);
}

void* repalloc(void* old, Size size) {
  const size_t before = ((struct piece*)old - 1)->size;
  return size <= before ? old : memcpy(palloc(size), old, before);
}

void pfree(void* piece) {}

char* pstrdup(const char* text) {
  return strcpy(palloc(strlen(text) + 1), text);
}

void* MemoryContextAlloc(MemoryContext context, Size size) {
  return palloc(size);
}
void* MemoryContextAllocZero(MemoryContext context, Size size) {
  return palloc0(size);
}
void* MemoryContextAllocZeroAligned(MemoryContext context, Size size) {
  return palloc0(size);
}

/* Errors end the parse; what is less than an error is nothing to us. */
bool errstart(int level, const char* domain) {
  return level >= ERROR;
}
bool errstart_cold(int level, const char* domain) {
  return level >= ERROR;
}
static void keep_message(const char* format, va_list values) {
  char text[1024];
  pg_vsnprintf(text, sizeof text, format, values);
  free(backend->message);
  backend->message = strdup(text);
}
int errmsg(const char* format, ...) {
  va_list values;
  va_start(values, format);
  keep_message(format, values);
  va_end(values);
  return 0;
}
int errmsg_internal(const char* format, ...) {
  va_list values;
  va_start(values, format);
  keep_message(format, values);
  va_end(values);
  return 0;
}
int errcode(int code) {
  return 0;
}
int errdetail(const char* format, ...) {
  return 0;
}
int errhint(const char* format, ...) {
  return 0;
}
int errposition(int position) {
  return 0;
}
int geterrcode(void) {
  return 0;
}
void errfinish(const char* file, int line, const char* function) {
  __builtin_longjmp(backend->on_error, 1);
}
/* parser-thread.h puts this where PostgreSQL has a variable. */
ErrorContextCallback** parser_error_callbacks(void) {
  return &error_callbacks;
}

/* The raw parser does not recurse; copies and comparisons are of names. */
void check_stack_depth(void) {}

/* Statements are looked at as UTF-8. */
int pg_database_encoding_max_length(void) {
  return MAX_MULTIBYTE_CHAR_LEN;
}
int pg_get_client_encoding(void) {
  return PG_UTF8;
}
bool pg_verifymbstr(const char* text, int size, bool no_error) {
  if (pg_encoding_verifymbstr(PG_UTF8, text, size) == size) return true;
  if (!no_error) elog(ERROR, "invalid byte sequence for encoding \"UTF8\"");
  return false;
}
void pg_unicode_to_server(pg_wchar c, unsigned char* text) {
  if (!is_valid_unicode_codepoint(c)) elog(ERROR, "invalid Unicode code point");
  unicode_to_utf8(c, text);
  text[pg_utf_mblen(text)] = '\0';
}
int pg_mbcliplen(const char* text, int size, int limit) {
  int kept = 0;
  while (kept < size && text[kept] != '\0') {
    const int next = pg_utf_mblen((const unsigned char*)text + kept);
    if (kept + next > limit) break;
    kept += next;
  }
  return kept;
}
int pg_mbstrlen_with_len(const char* text, int size) {
  int count = 0;
  for (int at = 0; at < size && text[at] != '\0'; ++count)
    at += pg_utf_mblen((const unsigned char*)text + at);
  return count;
}

char* NameListToString(List* names) {
  StringInfoData text;
  ListCell* cell;
  initStringInfo(&text);
  foreach (cell, names) {
    if (cell != list_head(names)) appendStringInfoChar(&text, '.');
    appendStringInfoString(&text, IsA(lfirst(cell), String) ? strVal(lfirst(cell)) : "*");
  }
  return text.data;
}
int32 defGetInt32(DefElem* option) {
  if (option->arg == NULL || !IsA(option->arg, Integer))
    elog(ERROR, "%s requires an integer value", option->defname);
  return intVal(option->arg);
}

/* A function of its own: __builtin_longjmp() must not be inlined into it. */
__attribute__((noinline)) static void run_guarded(void (*work)(void*), void* argument, struct backend* with) {
  if (__builtin_setjmp(with->on_error) == 0) {
    work(argument);
  } else if (with->message == NULL) {
    with->message = strdup("syntax error");
  }
}

char* parser_run(void (*work)(void*), void* argument) {
  struct backend own = {0};
  backend = &own;
  error_callbacks = NULL;
  run_guarded(work, argument, &own);
  backend = NULL;
  while (own.blocks != NULL) {
    struct block* next = own.blocks->next;
    free(own.blocks);
    own.blocks = next;
  }
  return own.message;
}
