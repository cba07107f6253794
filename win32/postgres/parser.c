/* libpg_query's way to ask for a parse, with PostgreSQL's own parser behind it: pg_query_parse_protobuf()
 * alone.
 *
 * Debian's mingw packages have no libpg_query, and its source is PostgreSQL's with changes. This is the part
 * that the relay uses: the grammar is compiled from Debian's source of PostgreSQL, the messages are those of
 * Debian's pg_query.proto, and parser-messages.inc between them is made from that file by tree-writer.py.
 * What libpg_query changes in the grammar (parameters in places where a server refuses them, comments as
 * tokens) is not here: such a statement is none, as it is for the server. Any number of threads. */
#include "parser-backend.h"

#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"
#include "parser/parser.h"

#include <pg_query.h>
#include <pg_query/pg_query.pb-c.h>

static PgQuery__Node* write_node(const void* node);
static PgQuery__String* write_String(const String* node);

static char* text_of_char(char c, char* if_none) {
  if (c == '\0') return if_none;
  char* text = palloc(2);
  text[0] = c;
  text[1] = '\0';
  return text;
}

static char* text_of_string(const char* text, char* if_none) {
  return text == NULL ? if_none : (char*)text;
}

/* One field of the messages is a character here and a string there. */
#define WRITE_TEXT(value, if_none) \
  _Generic((value), char : text_of_char, char* : text_of_string, const char* : text_of_string)(value, if_none)

static PgQuery__Node** write_items(const List* list, size_t* count) {
  *count = list_length(list);
  PgQuery__Node** items = palloc(*count * sizeof *items);
  for (size_t i = 0; i < *count; ++i) {
    items[i] = write_node(list_nth(list, i));
    if (items[i] != NULL) continue;
    // As in SELECT DISTINCT, whose list has one item that is nothing: a message of no kind.
    items[i] = palloc(sizeof **items);
    pg_query__node__init(items[i]);
  }
  return items;
}

#define WRITE_LIST(field, name) \
  if (node->name != NULL) out->field = write_items(node->name, &out->n_##field)

#include "parser-messages.inc"

/* A message of a kind with one member. */
#define NEW(variable, Kind, prefix)                     \
  PgQuery__##Kind* variable = palloc(sizeof *variable); \
  pg_query__##prefix##__init(variable)

static PgQuery__Integer* write_Integer(const Integer* node) {
  NEW(out, Integer, integer);
  out->ival = node->ival;
  return out;
}
static PgQuery__Float* write_Float(const Float* node) {
  NEW(out, Float, float);
  out->fval = node->fval;
  return out;
}
static PgQuery__Boolean* write_Boolean(const Boolean* node) {
  NEW(out, Boolean, boolean);
  out->boolval = node->boolval;
  return out;
}
static PgQuery__String* write_String(const String* node) {
  NEW(out, String, string);
  out->sval = node->sval;
  return out;
}
static PgQuery__BitString* write_BitString(const BitString* node) {
  NEW(out, BitString, bit_string);
  out->bsval = node->bsval;
  return out;
}
static PgQuery__List* write_List(const List* node) {
  NEW(out, List, list);
  out->items = write_items(node, &out->n_items);
  return out;
}

static PgQuery__AConst* write_A_Const(const A_Const* node) {
  NEW(out, AConst, a__const);
  out->isnull = node->isnull;
  out->location = node->location;
  if (node->isnull) return out;
  switch (nodeTag(&node->val.node)) {
    case T_Integer:
      out->val_case = PG_QUERY__A__CONST__VAL_IVAL;
      out->ival = write_Integer(&node->val.ival);
      break;
    case T_Float:
      out->val_case = PG_QUERY__A__CONST__VAL_FVAL;
      out->fval = write_Float(&node->val.fval);
      break;
    case T_Boolean:
      out->val_case = PG_QUERY__A__CONST__VAL_BOOLVAL;
      out->boolval = write_Boolean(&node->val.boolval);
      break;
    case T_String:
      out->val_case = PG_QUERY__A__CONST__VAL_SVAL;
      out->sval = write_String(&node->val.sval);
      break;
    case T_BitString:
      out->val_case = PG_QUERY__A__CONST__VAL_BSVAL;
      out->bsval = write_BitString(&node->val.bsval);
      break;
    default:
      break;
  }
  return out;
}

/* `node` as the message's member `field`. */
#define AS(CASE, field, value)                  \
  out->node_case = PG_QUERY__NODE__NODE_##CASE; \
  out->field = value;                           \
  break

static PgQuery__Node* write_node(const void* node) {
  if (node == NULL) return NULL;
  NEW(out, Node, node);
  switch (nodeTag(node)) {
    case T_Integer:
      AS(INTEGER, integer, write_Integer(node));
    case T_Float:
      AS(FLOAT, float_, write_Float(node));
    case T_Boolean:
      AS(BOOLEAN, boolean, write_Boolean(node));
    case T_String:
      AS(STRING, string, write_String(node));
    case T_BitString:
      AS(BIT_STRING, bit_string, write_BitString(node));
    case T_List:
      AS(LIST, list, write_List(node));
    case T_A_Const:
      AS(A_CONST, a_const, write_A_Const(node));
    default:
      if (!write_node_case(out, node)) elog(ERROR, "a node of kind %d has no message", (int)nodeTag(node));
  }
  return out;
}

static void pack(const List* statements, PgQueryProtobuf* packed) {
  PgQuery__ParseResult result = PG_QUERY__PARSE_RESULT__INIT;
  result.version = PG_VERSION_NUM;
  result.n_stmts = list_length(statements);
  result.stmts = palloc(result.n_stmts * sizeof *result.stmts);
  for (size_t i = 0; i < result.n_stmts; ++i) result.stmts[i] = write_RawStmt(list_nth(statements, i));
  packed->len = pg_query__parse_result__get_packed_size(&result);
  packed->data = malloc(packed->len + 1);
  pg_query__parse_result__pack(&result, (void*)packed->data);
}

struct request {
  const char* text;
  PgQueryProtobufParseResult* result;
};

static void parse(void* given) {
  struct request* request = given;
  pack(raw_parser(request->text, RAW_PARSE_DEFAULT), &request->result->parse_tree);
}

PgQueryProtobufParseResult pg_query_parse_protobuf(const char* input) {
  PgQueryProtobufParseResult result = {0};
  struct request request = {input, &result};
  char* message = parser_run(parse, &request);
  if (message == NULL) return result;
  result.error = calloc(1, sizeof *result.error);
  result.error->message = message;
  return result;
}

void pg_query_free_protobuf_parse_result(PgQueryProtobufParseResult result) {
  if (result.error != NULL) free(result.error->message);
  free(result.error);
  free(result.parse_tree.data);
}
