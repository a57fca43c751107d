#!/usr/bin/env python3
"""make_ledger.py FOLDER [EVENTS] - make a golden ledger with nothing of ledgerbox but schema.sql.

Writes golden.db, golden-a.key and golden-b.key into FOLDER, the same events on every run: the
ledger of the node store-a, with its own events of two epochs and those of two other origins.
EVENTS is 300 where not given; from 1024 on the table mark has rows.

The seal has home 0, 0 (inode and birth time unknown): whoever looks at the home finds a copy.
"""
import json
import os
import sqlite3
import sys
from pathlib import Path

sys.dont_write_bytecode = True  # nothing is left in the source tree
import vectors  # noqa: E402

SCHEMA = Path(__file__).resolve().parents[2] / "lib/store/schema.sql"
APPLICATION_ID = 0x4C424F58  # "LBOX"
MARK_EVERY = 1024
BLOCK = 32768
BEGIN = 1706745600000000  # 2024-02-01T00:00:00Z
KEYS = {name: vectors.SECRETS[name] for name in "ab"}

# Domains an origin writes to, how far its wall clock is off, and how late its events arrive (µs).
ORIGINS = {
    "store-a": (["inventory", "orders", "packages"], 0, 0),
    "store-b": (["inventory", "orders"], 3_000_000, 0),
    "store-c": (["inventory", "packages"], -40_000, 3_600_000_000),
}
STREAMS = {"inventory": "product/sku-", "orders": "order/café ", "packages": "package/lib/"}
TYPES = {"inventory": ["stock_adjusted", "stock_counted"], "orders": ["order_placed"],
         "packages": ["install", "upgrade", "remove"], "_ledger": ["epoch_started"]}
PAYLOADS = ["null", "0", "-0.0", "1e9999", '""', "[]", r'"\"\\\/\b\f\n\r\t\u0000\ud83d\ude00"',
            '{ "a" : 1 ,  "b" : [ ] }', '"日本語 é e\u0301 😀"', '{"z":1,"a":2}',
            '{"text":"' + "x" * 1013 + '"}']


def pick(label, n):
    """A number below n that looks random and is the same each time."""
    return int.from_bytes(vectors.draw(label, 8), "big") % n


class World:
    """What the three origins know; makes their events one after another."""

    def __init__(self):
        # the others began hours before this node
        self.epochs = {name: BEGIN - i * 7_200_000_000 for i, name in enumerate(ORIGINS)}
        self.heads = {}  # (origin, epoch, domain): (sequence, hash)
        self.clocks = {}  # origin: its highest clock; that of store-a counts all events
        self.versions = {}  # (origin, domain, stream): highest version known to that origin

    def next_clock(self, origin, wall):
        clock = max(wall, self.clocks.get(origin, 0) + 1)
        for knows in {origin, "store-a"}:
            self.clocks[knows] = max(clock, self.clocks.get(knows, 0))
        return clock

    def next_version(self, origin, domain, stream):
        version = self.versions.get((origin, domain, stream), 0) + 1
        for knows in {origin, "store-a"}:
            key = (knows, domain, stream)
            self.versions[key] = max(version, self.versions.get(key, 0))
        return version

    def event(self, n, origin, domain, key, **given):
        """The n-th event of the ledger: a whole one, signed, and now the head of its chain."""
        wall = BEGIN + n * 700_000 + pick(f"wall/{n}", 600_000) + ORIGINS[origin][1]
        wall = max(wall - ORIGINS[origin][2], self.epochs[origin])
        chain = (origin, self.epochs[origin], domain)
        sequence, prev = self.heads.get(chain, (0, None))
        e = dict(id=vectors.uuid7(wall, f"ledger/{n}"), origin=origin, epoch=chain[1],
                 domain=domain, sequence=sequence + 1, stream=None, version=0,
                 type=TYPES[domain][n % len(TYPES[domain])], schema=1 + n % 2,
                 clock=self.next_clock(origin, wall), time=wall - pick(f"time/{n}", 5_000_000),
                 tags=[], payload=PAYLOADS[n % len(PAYLOADS)], metadata=None,
                 salt=vectors.draw(f"ledger/salt/{n}", 16), prev=prev)
        e.update(given)
        if e["stream"] is not None:
            e["version"] = self.next_version(origin, domain, e["stream"])
        vectors.sign(e, KEYS[key])
        self.heads[chain] = (e["sequence"], e["hash"])
        return e

    def plain(self, n, count):
        """An event of some origin; store-c changes its key halfway, within its chains."""
        origin = list(ORIGINS)[pick(f"origin/{n}", len(ORIGINS))]
        domain = ORIGINS[origin][0][pick(f"domain/{n}", len(ORIGINS[origin][0]))]
        key = "b" if origin == "store-b" or origin == "store-c" and n > count // 2 else "a"
        given = {}
        if n % 5:
            given["stream"] = f"{STREAMS[domain]}{pick(f'stream/{n}', 9)}"
            given["tags"] = sorted({f"item:{n % 7}", f"day:{n // 50}", f"é:ü{n % 2}"})[:n % 4]
        if n % 3 == 0:
            given["metadata"] = '{"correlation_id":"case-%d", "actor":"ada"}' % (n // 6)
        elif n % 3 == 1:
            given["metadata"] = r'{ "correlation_id" : "caf\u00e9" }' if n % 2 else '{"actor":"é"}'
        return self.event(n, origin, domain, key, **given)

    def next_epoch(self, n):
        """store-a was restored: its next epoch, and the event that says so."""
        older = [dict(epoch=e, domain=d, sequence=s, hash=h.hex())
                 for (o, e, d), (s, h) in self.heads.items() if o == "store-a"]
        self.epochs["store-a"] = BEGIN + n * 700_000
        return self.event(n, "store-a", "_ledger", "a", schema=1, payload=json.dumps(
            {"reason": "restored", "chains": older}, separators=(",", ":")))


def make_events(world, count):
    turn = count * 2 // 3
    return [world.next_epoch(n) if n == turn else world.plain(n, count)
            for n in range(1, count + 1)]


def row_id(db, table, **columns):
    """The id of a row in one of the small tables; made where there is none."""
    names, values = list(columns), list(columns.values())
    where = " AND ".join(f"{name} = ?" for name in names)
    row = db.execute(f"SELECT id FROM {table} WHERE {where}", values).fetchone()
    if row is not None:
        return row[0]
    places = ", ".join("?" * len(names))
    return db.execute(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({places})",
                      values).lastrowid


def insert_event(db, position, e):
    domain = row_id(db, "domain", name=e["domain"])
    chain = row_id(db, "chain", origin=e["origin"], epoch=e["epoch"], domain=domain)
    row = dict(position=position, chain=chain, domain=domain,
               signing_key=row_id(db, "signing_key", name=e["key"]), body=None,
               tags=" ".join(e["tags"]) or None)
    for name in ("sequence", "id", "stream", "version", "type", "schema", "clock", "time", "salt",
                 "prev", "hash", "mac", "metadata", "payload"):
        row[name] = e[name]
    places = ", ".join(":" + name for name in row)
    db.execute(f"INSERT INTO event ({', '.join(row)}) VALUES ({places})", row)


def insert_terms(db, position, e):
    terms = ([e["stream"]] if e["stream"] is not None else []) + list(e["tags"])
    if e["metadata"] is not None:
        correlation = json.loads(e["metadata"]).get("correlation_id")
        if isinstance(correlation, str) and 1 <= len(correlation.encode()) <= 191:
            terms.append("@correlation:" + correlation)
    db.executemany("INSERT INTO term (block, term, position) VALUES (?, ?, ?)",
                   [(position // BLOCK, t, position) for t in terms])


def insert_streams(db, events):
    versions = {}
    for e in events:
        if e["stream"] is not None:
            key = (e["stream"], row_id(db, "domain", name=e["domain"]))
            versions[key] = max(e["version"], versions.get(key, 0))
    db.executemany("INSERT INTO stream (stream, domain, version) VALUES (?, ?, ?)",
                   [(*key, version) for key, version in versions.items()])


def insert_all(db, events):
    """Events, terms, streams and marks; returns the link over all of them."""
    link = bytes(32)
    for position, e in enumerate(events, 1):
        insert_event(db, position, e)
        insert_terms(db, position, e)
        link = vectors.link_next(link, e["hash"])
        if position % MARK_EVERY == 0:
            times = [past["time"] for past in events[position - MARK_EVERY:position]]
            db.execute("INSERT INTO mark (position, link, min_time, max_time) VALUES (?, ?, ?, ?)",
                       (position, link, min(times), max(times)))
    insert_streams(db, events)
    return link


def insert_seal(db, epoch, events, link):
    seal = dict(node="store-a", epoch=epoch, position=len(events),
                clock=max((e["clock"] for e in events), default=0), link=link, inode=0, birth=0)
    seal.update(id=1, signing_key=vectors.key_id(KEYS["a"]), mac=vectors.seal_mac(KEYS["a"], seal))
    places = ", ".join(":" + name for name in seal)
    db.execute(f"INSERT INTO seal ({', '.join(seal)}) VALUES ({places})", seal)


def make_ledger(file, count):
    db = sqlite3.connect(file, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute("PRAGMA user_version = 1")
    db.executescript(SCHEMA.read_text(encoding="utf-8"))
    world = World()
    events = make_events(world, count)
    db.execute("BEGIN")
    link = insert_all(db, events)
    insert_seal(db, world.epochs["store-a"], events, link)
    db.execute("COMMIT")
    db.close()


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: make_ledger.py FOLDER [EVENTS]")
    folder = Path(sys.argv[1])
    if (folder / "golden.db").exists():
        sys.exit(f"{folder / 'golden.db'} exists already")
    for name, secret in KEYS.items():
        file = folder / f"golden-{name}.key"
        file.write_text(secret.hex() + "\n")
        os.chmod(file, 0o600)
    make_ledger(folder / "golden.db", int(sys.argv[2]) if len(sys.argv) == 3 else 300)


if __name__ == "__main__":
    main()
