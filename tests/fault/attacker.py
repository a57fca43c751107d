"""What somebody can do who may write a ledger's file: behind the guards, behind the schema, byte by byte.

The hashes are made with the rules of tests/golden/verify.py, which shares no code with ledgerbox.
"""
import contextlib
import sqlite3
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "golden"))
from verify import EVENTS, MARKS, event_hash, hmac256, key_id, pae, sha256  # noqa: E402


@contextlib.contextmanager
def opened(path):
    """A connection that sees bytes as they are; at its end all is in the file, nothing in a -wal."""
    db = sqlite3.connect(path, isolation_level=None)
    db.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
    db.execute("PRAGMA synchronous = OFF")
    try:
        yield db
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    finally:
        db.close()
    for suffix in "-wal", "-shm":
        Path(f"{path}{suffix}").unlink(missing_ok=True)


def script(path, sql):
    with opened(path) as db:
        db.executescript(sql)


def unguarded(path, sql):
    """The guards are gone meanwhile, and back afterwards."""
    with opened(path) as db:
        guards = db.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        db.executescript("".join(f"DROP TRIGGER {name};" for name, _ in guards))
        db.executescript(f"BEGIN; {sql}; COMMIT")
        db.executescript("".join(f"{sql};" for _, sql in guards))


def rewrite_schema(path, *changes):
    """Changes rows of sqlite_schema, which SQLite does not look at before the file is opened anew."""
    with opened(path) as db:
        db.execute("PRAGMA writable_schema = ON")
        for sql, *values in changes:
            db.execute(sql, values)
        (version,) = db.execute("PRAGMA schema_version").fetchone()
        db.execute(f"PRAGMA schema_version = {version + 1}")


def reshape(path, name, old, new):
    """Replaces words in the definition of one object."""
    rewrite_schema(path, ("UPDATE sqlite_schema SET sql = replace(sql, ?, ?) WHERE name = ?", old, new, name))


def reshaped(path, name, old, new, sql):
    """The same, only while `sql` runs: what it does then stands in a table that forbids it."""
    reshape(path, name, old, new)
    unguarded(path, sql)
    with opened(path) as db:
        (now,) = db.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (name,)).fetchone()
    assert new in now, (name, now)
    rewrite_schema(path, ("UPDATE sqlite_schema SET sql = replace(sql, ?, ?) WHERE name = ?", new, old, name))


def behind_index(path, index, sql):
    """Changes a table while SQLite does not know of one of its indexes: both disagree afterwards."""
    with opened(path) as db:
        row = db.execute("SELECT rowid, * FROM sqlite_schema WHERE name = ?", (index,)).fetchone()
    assert row, index
    rewrite_schema(path, ("DELETE FROM sqlite_schema WHERE name = ?", index))
    unguarded(path, sql)
    rewrite_schema(path, ("INSERT INTO sqlite_schema (rowid, type, name, tbl_name, rootpage, sql) VALUES (?, ?, ?, ?, ?, ?)",
        *row))


def index_without(path, index, where):
    """An index that lost entries: those for which `where` is not true."""
    with opened(path) as db:
        (sql,) = db.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (index,)).fetchone()
    rewrite_schema(path, ("UPDATE sqlite_schema SET sql = sql || ? WHERE name = ?", f" WHERE {where}", index))
    script(path, f"REINDEX {index}")
    rewrite_schema(path, ("UPDATE sqlite_schema SET sql = ? WHERE name = ?", sql, index))


def forge(path, sql="", key=None, macs=True, seal=True):
    """Makes hashes, links and marks anew after `sql`, as the format has them; with a key the MACs too."""
    unguarded(path, sql)
    with opened(path) as db:
        db.row_factory, db.text_factory = sqlite3.Row, bytes
        guards = db.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        events = [dict(row) for row in db.execute(EVENTS)]
        marks = [row["position"] for row in db.execute(MARKS)]
        db.execute("BEGIN")
        for name, _ in guards:
            db.execute(f"DROP TRIGGER {name.decode()}")
        if key and key_id(key) not in {e["key"] for e in events}:
            db.execute("UPDATE signing_key SET name = CAST(? AS TEXT)", (key_id(key),))
        heads, link, times = {}, bytes(32), []
        for e in events:
            chain = e["origin"], e["epoch"], e["domain"]
            e["prev"] = heads.get(chain) or sha256(pae(b"ledgerbox/genesis/v1", *chain))
            e["key"] = key_id(key) if key else e["key"]
            e["hash"] = heads[chain] = event_hash(e)
            if key and macs:
                e["mac"] = hmac256(key, b"ledgerbox/mac/v1\0" + e["hash"])
            link = sha256(link + e["hash"])
            times.append(e["time"])
            db.execute("UPDATE event SET prev = :prev, hash = :hash, mac = :mac WHERE position = :position", e)
            if e["position"] in marks:
                db.execute("UPDATE mark SET link = ?, min_time = ?, max_time = ? WHERE position = ?",
                    (link, min(times), max(times), e["position"]))
                times = []
        if seal:
            db.execute("UPDATE seal SET position = ?, clock = ?, link = ?", (events[-1]["position"],
                max(e["clock"] for e in events), link))
            if key:
                sign_seal(db, key)
        for _, guard in guards:
            db.execute(guard.decode())
        db.execute("COMMIT")


def sign_seal(db, key):
    s = db.execute("SELECT * FROM seal").fetchone()
    mac = hmac256(key, b"ledgerbox/seal/v1\0" + pae(s["node"], s["epoch"], s["position"], s["clock"], s["link"],
        s["inode"], s["birth"]))
    db.execute("UPDATE seal SET signing_key = CAST(? AS TEXT), mac = ?", (key_id(key), mac))


def poke(path, at, data):
    """Overwrites bytes of a file in place; at < 0 counts from its end."""
    with open(path, "r+b") as file:
        file.seek(at, 0 if at >= 0 else 2)
        file.write(data)


def cut(path, size):
    with open(path, "r+b") as file:
        file.truncate(size)


def write_over(path, data):
    """In place: the file stays the same file."""
    with open(path, "r+b") as file:
        file.write(data)
        file.truncate(len(data))
