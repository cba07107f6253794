"""Random transactions: what applications do, in an order that nobody planned, from a seed.

Every statement has one outcome for one state of the database: no statement depends on the order of a heap.
"""
from .load import Session, literal

SETUP = (
    "CREATE TABLE accounts (id serial PRIMARY KEY, owner text NOT NULL, balance int NOT NULL CHECK (balance > -500), "
    "version int NOT NULL DEFAULT 0)",
    "CREATE TABLE orders (id bigserial PRIMARY KEY, account int NOT NULL REFERENCES accounts ON DELETE CASCADE, code text UNIQUE, "
    "amount int NOT NULL DEFAULT 1)",
    "CREATE TABLE items (order_id bigint REFERENCES orders ON DELETE CASCADE, line int, qty int NOT NULL, PRIMARY KEY (order_id, line))",
    "CREATE TABLE tags (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text UNIQUE DEFERRABLE INITIALLY DEFERRED, "
    "uses int DEFAULT 0)",
    "CREATE TABLE journal (n bigserial PRIMARY KEY, who int, what text, total bigint)",
    "CREATE TABLE balances_seen (n serial, account int, was int, became int)",
    "CREATE SEQUENCE tickets",
    "CREATE FUNCTION note_order() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    "INSERT INTO journal (who, what, total) VALUES (0, TG_OP || ' ' || NEW.code, NEW.amount); RETURN NEW; END $$",
    "CREATE TRIGGER note_order AFTER INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION note_order()",
    "CREATE PROCEDURE settle(a int) LANGUAGE plpgsql AS $$ BEGIN UPDATE accounts SET version = version + 1 WHERE id = a; COMMIT; "
    "INSERT INTO journal (who, what) VALUES (a, 'settled'); COMMIT; END $$",
    "INSERT INTO accounts (owner, balance) SELECT 'owner ' || i, 1000 FROM generate_series(1, 20) i",
    "INSERT INTO tags (name) SELECT 'tag ' || i FROM generate_series(1, 10) i",
)
# What one server says to such a load: keys that are taken or gone, checks, divisions by zero, failed blocks, NOWAIT.
ALLOWED = ("23505", "23503", "23514", "22012", "42P01", "42601", "25P02", "55P03")
ACCOUNTS, TAGS, CODES = 25, 15, 40


def write(session) -> tuple:
    """A write as text and values."""
    pick, who = session.choice, session.number
    account, tag, code = pick.randint(1, ACCOUNTS), f"tag {pick.randrange(TAGS)}", f"code {pick.randrange(CODES)}"
    return pick.choice((
        ("UPDATE accounts SET balance = balance + %s WHERE id = %s", pick.randint(-20, 20), account),
        ("UPDATE accounts SET balance = balance - 1, version = version + 1 WHERE id IN (%s, %s)", account, 1),
        ("UPDATE accounts SET owner = owner || %s WHERE id = %s AND length(owner) < 50", "abcdefghijklmnop"[who], account),
        ("INSERT INTO accounts (owner, balance) VALUES (%s, %s) RETURNING id", f"new of {who}", pick.randint(0, 99)),
        ("DELETE FROM accounts WHERE id = %s AND id > 20", pick.randint(20, 200)),
        ("INSERT INTO orders (account, code, amount) VALUES (%s, %s, %s)", account, code, pick.randint(1, 9)),
        ("INSERT INTO orders (account, code) VALUES (%s, %s) ON CONFLICT (code) DO UPDATE SET amount = orders.amount + 1 "
         "RETURNING id, amount", account, code),
        ("INSERT INTO orders (account, code) VALUES (%s, %s) ON CONFLICT DO NOTHING", account, code),
        ("DELETE FROM orders WHERE code = %s RETURNING id", code),
        ("INSERT INTO items SELECT id, %s, amount FROM orders WHERE code = %s", pick.randint(1, 3), code),
        ("UPDATE items SET qty = qty + 1 WHERE order_id = (SELECT id FROM orders WHERE code = %s)", code),
        ("INSERT INTO tags (name) VALUES (%s)", tag),
        ("UPDATE tags SET uses = uses + 1 WHERE name = %s", tag),
        ("UPDATE tags SET name = %s WHERE id = %s", tag, pick.randint(1, 20)),
        ("DELETE FROM tags WHERE name = %s", tag),
        ("INSERT INTO journal (who, what, total) SELECT %s, 'sum', sum(balance) FROM accounts", who),
        ("INSERT INTO journal (who, what, total) SELECT %s, code, amount FROM orders ORDER BY id LIMIT 3", who),
        ("INSERT INTO journal (who, what, total) VALUES (%s, 'ticket', nextval('tickets'))", who),
        ("DELETE FROM journal WHERE n IN (SELECT n FROM journal ORDER BY n LIMIT 5)",),
        ("WITH gone AS (DELETE FROM items WHERE line = %s AND qty > 3 RETURNING qty) "
         "INSERT INTO journal (who, what, total) SELECT %s, 'swept', sum(qty) FROM gone", pick.randint(1, 3), who),
        ("SELECT nextval('tickets')",),
        ("SELECT balance FROM accounts WHERE id = %s FOR UPDATE", account),
        ("SELECT id FROM accounts WHERE id = %s FOR NO KEY UPDATE NOWAIT", account),
    ))


def read(session) -> tuple:
    account = session.choice.randint(1, ACCOUNTS)
    return session.choice.choice((
        ("SELECT balance FROM accounts WHERE id = %s", account),
        ("SELECT count(*), sum(amount) FROM orders WHERE account = %s", account),
        ("SELECT a.owner, o.code FROM accounts a JOIN orders o ON o.account = a.id WHERE a.id = %s ORDER BY o.id", account),
        ("SELECT last_value FROM tickets",),
        ("SHOW transaction_isolation",),
    ))


def mistake(session) -> tuple:
    return session.choice.choice((("SELECT 1/0",), ("SELEC 1",), ("INSERT INTO nowhere VALUES (1)",),
                                  ("INSERT INTO orders (account, code) VALUES (-1, NULL)",),
                                  ("UPDATE accounts SET balance = 1/(id - id) WHERE id = 1",)))


def statement(session) -> tuple:
    dice = session.choice.random()
    return mistake(session) if dice < 0.06 else read(session) if dice < 0.3 else write(session)


def protocol(session) -> str:
    return session.choice.choice(("simple", "extended"))


def autocommit(session):
    for _ in range(3):
        session.do(*statement(session), protocol=protocol(session))


def block(session):
    """A transaction, perhaps with savepoints, that commits, rolls back or fails."""
    pick = session.choice
    session.begin(pick.choice(("", "", "", "", "ISOLATION LEVEL REPEATABLE READ", "ISOLATION LEVEL SERIALIZABLE", "READ WRITE")))
    names = []  # the savepoints that are there, the youngest last
    for _ in range(pick.randint(1, 6)):
        if pick.random() < 0.25:
            names.append(pick.choice("ab"))
            session.do(f"SAVEPOINT {names[-1]}", tag="SAVEPOINT", protocol=protocol(session))
        if not session.do(*statement(session), protocol=protocol(session)).ok:
            if not names or pick.random() < 0.3:
                break
            back_to(session, names)
        elif names and pick.random() < 0.2:
            back_to(session, names)
        elif names and pick.random() < 0.2:
            name = pick.choice(names)
            session.do(f"RELEASE {name}", tag="RELEASE", protocol=protocol(session))
            del names[last(names, name):]
    if session.status == "E":
        session.do(pick.choice(("ROLLBACK", "COMMIT")), tag="ROLLBACK", status="I")
    elif pick.random() < 0.8:
        session.commit(allow=ALLOWED)
    else:
        session.rollback()


def back_to(session, names):
    name = session.choice.choice(names)
    session.do(f"ROLLBACK TO {name}", tag="ROLLBACK", status="T", protocol=protocol(session))
    del names[last(names, name) + 1:]


def last(names, name) -> int:
    return len(names) - 1 - names[::-1].index(name)


def read_feeds_write(session):
    """What a client read, it writes, increased: the classic of applications."""
    account = session.choice.randint(1, 20)
    session.begin(session.choice.choice(("", "ISOLATION LEVEL REPEATABLE READ", "ISOLATION LEVEL SERIALIZABLE")))
    locked = session.choice.choice(("", " FOR UPDATE"))
    was = session.do(f"SELECT balance FROM accounts WHERE id = %s{locked}", account, protocol=protocol(session))
    if was.ok and was.rows:
        became = int(was.value()) + session.number
        if (session.do("UPDATE accounts SET balance = %s WHERE id = %s", became, account, protocol=protocol(session)).ok
                and session.do("INSERT INTO balances_seen (account, was, became) VALUES (%s, %s, %s)", account, int(was.value()),
                               became, protocol=protocol(session)).ok):
            session.commit(allow=ALLOWED)
            return
    session.rollback()


def prepared(session):
    if "prepared" not in session.memory:
        session.prepare("pay", "UPDATE accounts SET balance = balance + $1 WHERE id = $2 RETURNING balance")
        session.prepare("order", "INSERT INTO orders (account, code) VALUES ($1, $2)")
        session.memory["prepared"] = 1
    for _ in range(3):
        if session.choice.random() < 0.5:
            session.prepared("pay", session.choice.randint(-9, 9), session.choice.randint(1, ACCOUNTS))
        else:
            session.prepared("order", session.choice.randint(1, ACCOUNTS), f"code {session.choice.randrange(CODES)}")


def pipeline(session):
    """Several statements before each Sync: each such group is one transaction, or begins and ends its own."""
    groups = []
    for _ in range(session.choice.randint(1, 3)):
        inside = [statement(session) for _ in range(session.choice.randint(1, 4))]
        if session.choice.random() < 0.2:
            inside = [("BEGIN",), *inside, (session.choice.choice(("COMMIT", "ROLLBACK")),)]
        groups.append(inside)
    session.pipeline(groups)
    if session.status != "I":
        session.rollback()


def copy(session):
    rows = "".join(f"{session.number}\tcopied\t{session.choice.randrange(100)}\n" for _ in range(session.choice.randint(1, 20)))
    bad = session.choice.random() < 0.3
    session.copy_in("COPY journal (who, what, total) FROM STDIN", rows + ("x\n" if bad else ""), allow=("22P02", "22P04"))


def cursor(session):
    session.begin()
    session.do("DECLARE walk CURSOR FOR SELECT id FROM accounts ORDER BY id", tag="DECLARE CURSOR", protocol=protocol(session))
    found = session.do("FETCH 5 FROM walk", protocol=protocol(session))
    if found.ok:
        for (account,) in found.rows[:2]:
            if not session.do("UPDATE accounts SET version = version + 1 WHERE id = %s", int(account), protocol=protocol(session)).ok:
                session.rollback()
                return
    session.commit()


def several_in_one_query(session):
    first, second = write(session), write(session)
    session.do("; ".join(inline(one) for one in (first, second)), protocol="simple")
    if session.status != "I":
        session.rollback()


def inline(one) -> str:
    return one[0] % tuple(map(literal, one[1:])) if one[1:] else one[0]


def temporary(session):
    """A table of the session's own, read by a write."""
    session.begin()
    ok = (session.do("CREATE TEMP TABLE mine ON COMMIT DROP AS SELECT id, balance FROM accounts WHERE id < 5",
                     protocol=protocol(session)).ok
          and session.do("UPDATE mine SET balance = balance + 1", protocol=protocol(session)).ok
          and session.do("INSERT INTO journal (who, what, total) SELECT %s, 'mine', sum(balance) FROM mine", session.number,
                         protocol=protocol(session)).ok)
    session.commit() if ok else session.rollback()


def procedure(session):
    session.do("CALL settle(%s)", session.choice.randint(1, 20), tag="CALL", protocol=protocol(session))


KINDS = (autocommit,) * 4 + (block,) * 8 + (read_feeds_write,) * 3 + (prepared,) * 2 + (pipeline,) * 2 + (
    copy, cursor, several_in_one_query, temporary, procedure)


def step(session: Session, _n):
    session.choice.choice(KINDS)(session)
