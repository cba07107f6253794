#!/usr/bin/env python3
"""Writes the C functions that turn PostgreSQL's parse tree into the messages of libpg_query's pg_query.proto.

tree-writer.py PG_QUERY_PROTO PB_C_HEADER OUTPUT

Each message there is a struct of PostgreSQL, each field one of its fields, by the names in json_name, and each value of an
enum has PostgreSQL's name. parser.c includes the result, and has by hand what is not as regular.
"""
import contextlib
import re
import sys

BY_HAND = {"ParseResult", "ScanResult", "ScanToken", "Node", "Integer", "Float", "Boolean", "String", "BitString",
           "List", "IntList", "OidList", "A_Const"}
NUMBERS = {"bool", "int32", "int64", "uint32", "uint64", "double"}
# Structs inside another one; everywhere else there is a pointer.
EMBEDDED = {("CreateForeignTableStmt", "base")}
C_WORDS = {"float"}


def blocks(text, kind):
    return {name: body for name, body in re.findall(rf"^{kind} (\w+)\s*\{{(.*?)^\}}", text, re.M | re.S)}


def fields(body):
    """(repeated, type, field, name in C) of each."""
    pattern = r"^\s*(repeated )?(\w+) (\w+) = \d+(?: \[json_name=\"(\w+)\"\])?;"
    return [(bool(repeated), kind, field, name or field)
            for repeated, kind, field, name in re.findall(pattern, body, re.M)]


def message_names(header):
    """By the name in lower case without underscores: the C type and the prefix of its functions."""
    found = re.findall(r"^void\s+pg_query__(\w+)__init\s*\(PgQuery__(\w+) ", header, re.M)
    return {kind.lower(): (kind, prefix) for prefix, kind in found}


class Writer:
    def __init__(self, proto, header):
        self.messages, self.enums = blocks(proto, "message"), blocks(proto, "enum")
        self.names = message_names(header)
        node = re.search(r"oneof node \{(.*?)\}", self.messages["Node"], re.S).group(1)
        self.nodes = [(kind, field, struct) for _, kind, field, struct in fields(node)]
        self.written = sorted({kind for kind, _, _ in self.nodes if kind not in BY_HAND})
        self.structs = {kind: struct for kind, _, struct in self.nodes}

    def c_names(self, message):
        return self.names[message.replace("_", "").lower()]

    def enum(self, name):
        print(f"static int enum_{name}({name} value) {{\n  switch (value) {{")
        for value, number in re.findall(r"^\s*(\w+) = (\d+);", self.enums[name], re.M):
            if number != "0":  # "undefined", which PostgreSQL does not have
                print(f"    case {value}: return {number};")
        print("  }\n  return 0;\n}")

    def field(self, message, repeated, kind, field, name):
        field = field + "_" if field in C_WORDS else field
        if name == "xpr" or (repeated and kind != "Node"):
            return  # the node itself; sets of the planner, which a parse tree does not have
        if repeated:
            print(f"  WRITE_LIST({field}, {name});")
        elif kind == "Node":
            print(f"  out->{field} = write_node(node->{name});")
        elif kind == "string":
            print(f"  out->{field} = WRITE_TEXT(node->{name}, out->{field});")
        elif kind in NUMBERS:
            print(f"  out->{field} = node->{name};")
        elif kind in self.enums:
            print(f"  out->{field} = enum_{kind}(node->{name});")
        else:
            address = "&" if (message, name) in EMBEDDED else ""
            print(f"  out->{field} = write_{kind}({address}node->{name});")

    def message(self, name):
        kind, prefix = self.c_names(name)
        print(f"static PgQuery__{kind}* write_{name}(const {self.structs[name]}* node) {{")
        print(f"  if (node == NULL) return NULL;\n  PgQuery__{kind}* out = palloc(sizeof *out);")
        print(f"  pg_query__{prefix}__init(out);")
        for one in fields(self.messages[name]):
            self.field(name, *one)
        print("  return out;\n}")

    def node_cases(self):
        print("static bool write_node_case(PgQuery__Node* out, const void* node) {\n  switch (nodeTag(node)) {")
        for kind, field, struct in self.nodes:
            if kind in BY_HAND:
                continue
            name = field + "_" if field in C_WORDS else field
            print(f"    case T_{struct}:\n      out->node_case = PG_QUERY__NODE__NODE_{field.upper()};")
            print(f"      out->{name} = write_{kind}(node);\n      return true;")
        print("    default:\n      return false;\n  }\n}")

    def write(self):
        used = {kind for name in self.written for _, kind, _, _ in fields(self.messages[name])}
        for name in sorted(used & set(self.enums)):
            self.enum(name)
        for name in self.written:
            print(f"static PgQuery__{self.c_names(name)[0]}* write_{name}(const {self.structs[name]}* node);")
        for name in self.written:
            self.message(name)
        self.node_cases()


if __name__ == "__main__":
    with open(sys.argv[1]) as proto, open(sys.argv[2]) as header, open(sys.argv[3], "w") as output, \
            contextlib.redirect_stdout(output):
        Writer(proto.read(), header.read()).write()
