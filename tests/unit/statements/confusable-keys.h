/// Values of each type that some comparison of PostgreSQL's takes for equal, though the type's own does not.
#pragma once

namespace pgtandem::testing {

struct ConfusableKeys {
  const char* type;
  const char* values;  ///< of an INSERT
};

/// What the types below and their comparisons need.
inline constexpr const char* kConfusableObjects[] = {
    "CREATE TYPE mood AS ENUM ('a', 'A', '1')", "CREATE DOMAIN short AS varchar(5)",
    "SET timezone = 'Europe/Berlin'",  // skips an hour on 2021-03-28
};

inline constexpr ConfusableKeys kConfusableKeys[] = {
    {"int2", "(1), (2), (0)"},
    {"int4", "(1), (2), (16777216), (16777217), (0)"},
    {"int8", "(1), (9007199254740992), (9007199254740993), (16777217), (16777216)"},
    {"numeric", "(1), (1.5), (9007199254740992), (9007199254740993), (0.1), ('NaN'), (16777217), (16777216)"},
    {"float4", "(1), (0.1), (16777216), ('NaN')"},
    {"float8", "(1), (0.1), (9007199254740992), (16777217), (0.1::float4::float8), ('-0')"},
    {"text", "('a'), ('a '), ('A'), ('1'), ('true'), ('t'), (''), (' ')"},
    {"varchar", "('a'), ('a '), ('A'), ('1'), (''), (' ')"},
    {"varchar(3)", "('a'), ('a '), ('A')"},
    {"bpchar", "('a'), ('A'), ('')"},
    {"char(3)", "('a'), ('A'), ('')"},
    {"\"char\"", "('a'), ('A'), ('')"},
    {"name", "('a'), ('a '), ('A')"},
    {"bytea", "('a'), ('a '), ('A')"},
    {"bool", "(true), (false)"},
    {"date", "('2021-03-28'), ('2021-03-29'), ('infinity')"},
    {"timestamp", "('2021-03-28 02:30'), ('2021-03-28 03:30'), ('2021-10-31 02:30'), ('2021-03-28')"},
    {"timestamptz", "('2021-03-28 01:30Z'), ('2021-10-31 00:30Z'), ('2021-10-31 01:30Z'), ('2021-03-28')"},
    {"time", "('02:30'), ('03:30')"},
    {"timetz", "('02:30+01'), ('03:30+02')"},
    {"interval", "('1 day'), ('25 hours'), ('1 month')"},
    {"uuid", "('00000000-0000-0000-0000-000000000001'), ('00000000-0000-0000-0000-000000000002')"},
    {"oid", "(1), (2), (1259)"},
    {"regclass", "('pg_class'), ('pg_proc')"},
    {"inet", "('10.0.0.1'), ('10.0.0.1/8'), ('10.0.0.0/8')"},
    {"cidr", "('10.0.0.0/8'), ('10.0.0.0/9')"},
    {"bit(3)", "('101'), ('100')"},
    {"varbit", "('1'), ('10'), ('100')"},
    {"jsonb", "('1'), ('\"1\"'), ('[1]')"},
    {"int4[]", "('{1}'), ('{1,1}'), ('{{1}}')"},
    {"text[]", "('{a}'), ('{A}')"},
    {"int4range", "('[1,2)'), ('[1,3)')"},
    {"money", "('1.00'), ('1.01')"},
    {"mood", "('a'), ('A')"},
    {"short", "('a'), ('a '), ('A')"},
};

}  // namespace pgtandem::testing
