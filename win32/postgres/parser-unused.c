/* What functions call that stand in the same files as the parser's and are never called by it. */
#include <stdlib.h>

#define UNUSED(name) \
  void name(void) {  \
    abort();         \
  }

UNUSED(GetExtensibleNodeMethods)
UNUSED(datumCopy)
UNUSED(datumIsEqual)
UNUSED(format_type_be)
UNUSED(getTypeInputInfo)
UNUSED(getTypeOutputInfo)
UNUSED(get_opcode)
UNUSED(get_promoted_array_type)
UNUSED(get_rel_name)
UNUSED(get_rel_type_id)
UNUSED(get_typlenbyval)
UNUSED(hash_bytes)
UNUSED(pg_detoast_datum)
UNUSED(pg_qsort)
UNUSED(type_is_rowtype)
