"""Whether what clients saw can have happened on one server: histories of list-append transactions, and acknowledgements.

Every appended value is appended once, so a list tells the order of its writers, and a read tells whom it came behind.
"""
import collections

OK, FAILED, UNKNOWN = "ok", "failed", "unknown"  # what the client knows of the outcome


class Transaction:
    """`operations`: ("append", key, value) or ("read", key, the list that was seen). Times are time.monotonic()'s."""

    def __init__(self, client, began, operations=(), outcome=UNKNOWN, ended=None):
        self.client, self.began, self.ended, self.outcome = client, began, ended, outcome
        self.operations = list(operations)

    def appends(self) -> list:
        return [(key, value) for what, key, value in self.operations if what == "append"]

    def reads(self) -> list:
        return [(key, seen) for what, key, seen in self.operations if what == "read"]

    def __repr__(self):
        return f"<client {self.client}, {self.outcome}, {self.operations}>"


class History:
    """Transactions of all clients, and the lists as they are in the end (`final`: {key: list})."""

    def __init__(self, transactions, final):
        self.transactions = list(transactions)
        self.final = {key: list(values) for key, values in final.items()}
        self.writer = {(key, value): one for one in self.transactions for key, value in one.appends()}
        self.last_of = {}  # the last value that a transaction appended to a key
        for one in self.transactions:
            for key, value in one.appends():
                self.last_of[id(one), key] = value

    def committed(self) -> list:
        return [one for one in self.transactions if one.outcome == OK]

    def anomalies(self) -> list:
        """Everything that one server would never have done, as (kind, text)."""
        return [*self._lists(), *self._lost(), *self._reads(), *self._stale(), *self._cycles()]

    # Each kind.
    def _lists(self):
        for key, values in self.final.items():
            yield from self._values(key, values, "in the end")

    def _values(self, key, values, where):
        for value, count in collections.Counter(values).items():
            if count > 1:
                yield "duplicate append", f"{value} is {count} times in list {key} {where}"
        for value in values:
            one = self.writer.get((key, value))
            if one is None:
                yield "unknown value", f"{value} in list {key} {where}: nobody appended it"
            elif one.outcome == FAILED:
                yield "aborted append", f"{value} in list {key} {where} is of a transaction that was rolled back"

    def _lost(self):
        for one in self.committed():
            for key, value in one.appends():
                if value not in self._final_set(key):
                    yield "lost append", f"{value} was acknowledged and is not in list {key}"

    def _final_set(self, key):
        if not hasattr(self, "_sets"):
            self._sets = {k: frozenset(values) for k, values in self.final.items()}
        return self._sets.get(key, frozenset())

    def _reads(self):
        for one in self.committed():
            own = collections.defaultdict(list)
            for what, key, value in one.operations:
                if what == "append":
                    own[key].append(value)
                else:
                    yield from self._read(one, key, value, own[key])

    def _read(self, one, key, seen, own):
        yield from self._values(key, seen, f"as client {one.client} read it")
        final = self.final.get(key, [])
        if seen != final[:len(seen)]:
            yield self._not_a_prefix(one, key, seen, final)
        if own and seen[-len(own):] != own:
            yield "own append unseen", f"client {one.client} appended {own} to list {key} and read {seen[-5:]}"
        others = [value for value in seen if self.writer.get((key, value)) not in (None, one)]
        if others and (last := others[-1]) != self.last_of[id(self.writer[key, last]), key]:
            yield "intermediate read", f"client {one.client} saw list {key} end with {last}, in the middle of its transaction"

    def _not_a_prefix(self, one, key, seen, final):
        """A commit that nobody was told of may have been seen a moment before its server was lost: said, not promised."""
        gone = [value for value in seen if value not in self._final_set(key)]
        kept = [value for value in seen if value in self._final_set(key)]
        unknown = all((key, v) in self.writer and self.writer[key, v].outcome == UNKNOWN for v in gone)
        kind = "early read" if gone and unknown and kept == final[:len(kept)] else "read of no prefix"
        return kind, f"client {one.client} read {seen[-8:]} of list {key}; it was to be {final[:len(seen)][-8:]}"

    def _stale(self):
        """A read that was asked for after an append was acknowledged shows it, whatever server answers."""
        acknowledged = collections.defaultdict(list)
        for one in self.committed():
            for key, value in one.appends():
                acknowledged[key].append((one.ended, value))
        for one in self.committed():
            for key, seen in one.reads():
                known = frozenset(seen)
                missed = [v for ended, v in acknowledged[key] if ended < one.began and v not in known]
                if missed:
                    yield "stale read", f"client {one.client} read list {key} without {missed[:5]}, acknowledged before"

    def _cycles(self):
        edges = collections.defaultdict(set)
        for key, values in self.final.items():
            for before, after in zip(values, values[1:]):
                self._edge(edges, self.writer.get((key, before)), self.writer.get((key, after)))
        for one in self.committed():
            for key, seen in one.reads():
                others = [value for value in seen if self.writer.get((key, value)) is not one]
                if others:
                    self._edge(edges, self.writer.get((key, others[-1])), one)
        for component in components(edges):
            yield "cycle", f"each of these came behind the others: {component[:4]}"

    @staticmethod
    def _edge(edges, before, after):
        if before is not None and after is not None and before is not after:
            edges[before].add(after)


def components(edges) -> list:
    """The strongly connected components of more than one node (Tarjan's algorithm, without recursion)."""
    index, low, on_stack, stack, found = {}, {}, set(), [], []
    for root in list(edges):
        if root in index:
            continue
        work = [(root, iter(edges.get(root, ())))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            node, following = work[-1]
            for other in following:
                if other not in index:
                    index[other] = low[other] = len(index)
                    stack.append(other)
                    on_stack.add(other)
                    work.append((other, iter(edges.get(other, ()))))
                    break
                if other in on_stack:
                    low[node] = min(low[node], index[other])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    component = []
                    while not component or component[-1] is not node:
                        component.append(stack.pop())
                        on_stack.discard(component[-1])
                    if len(component) > 1:
                        found.append(component)
    return found


def masters_in_turn(log) -> list:
    """The least number of times at which the master must have changed for all acknowledgements to be one master's at a time.

    `log`: (sent, received, master, ...) of each: it was given at some moment between. The masters in their turn are
    returned. More turns than there were changes of master: two of them gave acknowledgements at the same time.
    """
    masters = sorted({entry[2] for entry in log})
    assert len(masters) <= 2, f"acknowledgements of more than two masters: {masters}"
    if len(masters) < 2:
        return masters
    return min((_turns(log, first, masters) for first in masters), key=len)


def _turns(log, first, masters):
    """Each turn lasts as long as it may: until the first answer that only the other one can have given."""
    waiting = {name: sorted((received, sent) for sent, received, told, *_ in log if told == name) for name in masters}
    turns, now = [first], first
    while True:
        other = masters[1 - masters.index(now)]
        if not waiting[other]:
            return turns
        end = waiting[other][0][0]
        waiting[now] = [(received, sent) for received, sent in waiting[now] if sent > end]
        turns.append(other)
        now = other
