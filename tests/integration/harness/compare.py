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
