"""Are two servers equal, table by table?"""

TABLES = """
SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
   AND n.nspname NOT LIKE 'pg_toast%' ORDER BY 1
"""
SETTINGS = ("SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET IntervalStyle = 'postgres'; SET extra_float_digits = 3; "
            "SET bytea_output = 'hex'")


def tables(server, database="app") -> list:
    return [row[0] for row in server.sql(TABLES, database=database)]


def digest(server, table, database="app"):
    """Number of rows and an order-free digest over their text."""
    with server.connect(database) as connection:
        connection.execute(SETTINGS)
        return connection.execute(
            f"SELECT count(*), coalesce(sum(('x' || substr(md5(t::text), 1, 15))::bit(60)::bigint), 0)::text, "
            f"coalesce(sum(('x' || substr(md5(t::text), 16, 15))::bit(60)::bigint), 0)::text "
            f"FROM {table} AS t").fetchone()


def same(one, other, *names, database="app"):
    """Asserts that the tables (all of the database by default) hold the same rows on both servers."""
    if not names:
        names = tables(one, database)
        assert names == tables(other, database), "the servers have different tables"
        assert names, "there is nothing to compare"
    for name in names:
        here, there = digest(one, name, database), digest(other, name, database)
        assert here == there, (f"{name} differs: {here[0]} rows on {one.name}, {there[0]} on {other.name}: "
                               f"{differing_rows(one, other, name, database)}")


def differing_rows(one, other, table, database, limit=10) -> str:
    def rows(server):
        return {row[0] for row in server.sql(f"SELECT t::text FROM {table} AS t LIMIT 200000", database=database)}

    here, there = rows(one), rows(other)
    return (f"only on {one.name}: {sorted(here - there)[:limit]}; only on {other.name}: "
            f"{sorted(there - here)[:limit]}")


# Everything that a client can have put into a database.

EVERY_TABLE = TABLES.replace("c.relkind = 'r'", "c.relkind IN ('r', 'm')").replace(
    "AND n.nspname NOT LIKE 'pg_toast%'", "AND n.nspname NOT LIKE 'pg_toast%' AND n.nspname NOT LIKE 'pg_temp%'")
SEQUENCES = """
SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'S' AND c.relpersistence <> 't' ORDER BY 1
"""
COLUMNS = """
SELECT format('%I.%I', n.nspname, c.relname), string_agg(format('%I %s%s', a.attname,
       format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN ' not null' ELSE '' END), ', ' ORDER BY attnum)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
 WHERE c.relkind IN ('r', 'm', 'p', 'v') AND c.relpersistence <> 't' AND a.attnum > 0 AND NOT a.attisdropped
   AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg_toast%' GROUP BY 1
"""
INDEXES = """
SELECT format('%I.%I', n.nspname, c.relname), pg_get_indexdef(i.indexrelid) || ' valid: ' || i.indisvalid
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relpersistence <> 't' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
   AND n.nspname NOT LIKE 'pg_toast%'
"""
LARGE_OBJECTS = """
SELECT m.oid::text, pg_get_userbyid(m.lomowner) || ' ' || md5(lo_get(m.oid)) FROM pg_largeobject_metadata m
"""
PREPARED = "SELECT gid, owner::text FROM pg_prepared_xacts WHERE database = current_database()"


def contents(server, database="app") -> dict:
    """All tables by number of rows and an order-free digest, their definitions, sequences, large objects, prepared transactions."""
    found = {}
    with server.connect(database) as connection:
        connection.execute(SETTINGS)

        def names(query):
            return [row[0] for row in connection.execute(query)]

        for table in names(EVERY_TABLE):
            half = "coalesce(sum(('x' || substr(md5(t::text), {}, 15))::bit(60)::bigint), 0)::text"
            found[f"table {table}"] = connection.execute(
                f"SELECT count(*), {half.format(1)}, {half.format(16)} FROM {table} AS t").fetchone()
        for sequence in names(SEQUENCES):
            found[f"sequence {sequence}"] = connection.execute(f"SELECT last_value, is_called FROM {sequence}").fetchone()
        for kind, query in (("columns of", COLUMNS), ("index", INDEXES), ("large object", LARGE_OBJECTS),
                            ("prepared transaction", PREPARED)):
            found.update({f"{kind} {name}": value for name, value in connection.execute(query)})
    return found


def differences(master, standby, database="app") -> list:
    """What is not equal on the two servers, a line each; empty if all is."""
    here, there = contents(master, database), contents(standby, database)
    lines = []
    for thing in sorted({*here, *there}):
        one, other = here.get(thing, "missing"), there.get(thing, "missing")
        if one != other:
            line = f"{thing}: {one} on {master.name}, {other} on {standby.name}"
            if thing.startswith("table ") and "missing" not in (one, other):
                line += f": {differing_rows(master, standby, thing.removeprefix('table '), database, limit=3)}"
            lines.append(line)
    return lines


def everything_same(master, standby, database="app"):
    """Asserts that all tables, sequences, large objects and prepared transactions are equal on both servers."""
    found = differences(master, standby, database)
    assert not found, "the servers differ:\n" + "\n".join(line[:1000] for line in found)
