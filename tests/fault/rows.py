"""The table of tamper.py. A row is: name, what is done, what verify says, and more runs of verify with options.

What verify says: exit code (one of several: 3|13), then every problem with its position (see choose in
tamper.py; no @: not about one event); "..." allows more of them.
"""
from attacker import behind_index, cut, forge, index_without, opened, poke, reshape, reshaped, rewrite_schema, script, unguarded, write_over


# How something is done ---------------------------------------------------------------------------

def sql(text):
    """Behind the guards: they are gone meanwhile."""
    return lambda t: unguarded(t.db, t.fill(text))


def openly(text):
    """With the guards in place, or against them for good."""
    return lambda t: script(t.db, t.fill(text))


def schema(text):
    """A change of sqlite_schema itself."""
    return lambda t: rewrite_schema(t.db, (t.fill(text),))


def shape(name, old, new):
    return lambda t: reshape(t.db, name, old, new)


def shaped(name, old, new, text):
    """The table's definition is another meanwhile: what it forbids is done."""
    return lambda t: reshaped(t.db, name, old, new, t.fill(text))


def loose(table, text):
    """STRICT is off meanwhile: a value of any type goes into any column."""
    return shaped(table, "\n) STRICT", "\n)", text)


def behind(index, text):
    return lambda t: behind_index(t.db, index, t.fill(text))


def without(index, where):
    return lambda t: index_without(t.db, index, t.fill(where))


def forged(text, **how):
    """Hashes, links, marks and the seal's link are made anew, without a key."""
    return lambda t: forge(t.db, t.fill(text), **how)


def resigned(text, **how):
    """The same, and signed anew with another key."""
    return lambda t: forge(t.db, t.fill(text), key=t.ledger.other_key, **how)


def both(*steps):
    def do(t):
        for step in steps:
            step(t)
    return do


def owned(step):
    """Two streams have owners, one of them is offered, before the step is done: three events behind the last."""
    def do(t):
        t.older = True
        t.ledger.expect(0, "own", "claim", "-", "-d", "inventory", stdin=b"product/sku-1\nproduct/sku-2\n")
        t.ledger.expect(0, "own", "transfer", "product/sku-2", "store-b", "--ttl", "1h")
        step(t)
    return do


def spliced(t):
    """Events of another ledger behind ours, with their chain and key rows, and the seal's link made to fit."""
    with opened(t.db) as db:
        db.execute("ATTACH ? AS other", (str(t.ledger.other),))
        db.executescript(t.fill("""
            INSERT INTO signing_key (name) SELECT name FROM other.signing_key;
            INSERT INTO chain (origin, epoch, domain) SELECT origin, epoch,
                (SELECT id FROM domain WHERE name = 'inventory') FROM other.chain;
            INSERT INTO event SELECT position + {last}, (SELECT max(id) FROM chain), sequence,
                (SELECT id FROM domain WHERE name = 'inventory'), id, stream, version, type, schema, clock, time, tags,
                (SELECT max(id) FROM signing_key), salt, prev, hash, mac, body, metadata, payload FROM other.event"""))
    forge(t.db)


def rewritten(position):
    """Everything made anew by somebody with the key, the seal too."""
    def do(t):
        t.older = True
        forge(t.db, t.fill(f"UPDATE event SET payload = '[1]' WHERE position = {position}"), key=t.ledger.key)
    return do


def older(file=True, state=True):
    """The copy from some events ago in the place of what should be there now."""
    def do(t):
        t.older = True
        t.ledger.put(t.ledger.older if file else t.ledger.whole, t.ledger.older_state if state else t.ledger.whole_state)
    return do


def older_by_mv(state=True):
    def do(t):
        t.older = True
        t.db.rename(t.db.with_name("ledger.kept"))
        t.db.write_bytes(t.ledger.older)
        if state:
            t.ledger.use_state(t.ledger.older_state)
    return do


def no_state(t):
    t.ledger.use_state(None)


def state_without(pattern):
    def do(t):
        for path in t.ledger.state.glob(f"**/*.{pattern}"):
            path.unlink()
    return do


def wal(change):
    """Five more events that stand in the -wal alone; then `change` is done to it."""
    def do(t):
        lines = b'{"domain":"orders","type":"t","payload":1}\n' * 5
        t.ledger.expect(0, "append", "-q", stdin=lines)
        change(t, t.db.with_name("ledger.db-wal"))
    return do


def wal_removed(t, path):
    path.unlink()
    path.with_name("ledger.db-shm").unlink()


def wal_of_another(t, path):
    write_over(path, t.ledger.other_wal)
    path.with_name("ledger.db-shm").unlink()


def wal_cut(t, path):
    cut(path, path.stat().st_size // 2)
    path.with_name("ledger.db-shm").unlink()


def wal_poked(t, path):
    poke(path, 32 + 24 + 100, bytes(8))
    path.with_name("ledger.db-shm").unlink()


def shm_garbled(t, path):
    t.older = True  # five more than the table of events knows: nothing is lost
    shm = path.with_name("ledger.db-shm")
    poke(shm, 0, t.dice.randbytes(shm.stat().st_size))


def file_cut(part):
    return lambda t: cut(t.db, int(t.db.stat().st_size * part) // 512 * 512)


def file_poked(at, data):
    return lambda t: poke(t.db, at, data)


def restored_elsewhere(t):
    """A copy under another name: the ledger's own place has nothing any more."""
    copy = t.db.with_name("copy.db")
    copy.write_bytes(t.ledger.whole)
    t.options = ["--database", "copy.db"]


def another_file(t):
    write_over(t.db, t.ledger.other.read_bytes())


# The rows ----------------------------------------------------------------------------------------

CONTENT = "3 HASH_MISMATCH@p"
UNREADABLE = "3 ROW_MALFORMED@p SEQUENCE_GAP@next MARK_MISMATCH@mark SEAL_MISMATCH"  # carries nothing on
GONE = "3 POSITION_GAP@p SEQUENCE_GAP@next MARK_MISMATCH@mark SEAL_MISMATCH"

COLUMNS = [
    ("event.position", sql("UPDATE event SET position = {behind} WHERE position = {p}"), "3 POSITION_GAP@p SEQUENCE_GAP@next MARK_MISMATCH@mark SEAL_MISMATCH SEAL_MISMATCH@behind"),
    ("event.position below 1", sql("UPDATE event SET position = -{p} WHERE position = {p}"), GONE),
    ("event.chain", sql("UPDATE event SET chain = 99 WHERE position = {p}"), "3 CHAIN_UNKNOWN@p SEQUENCE_GAP@next MARK_MISMATCH@mark SEAL_MISMATCH"),
    ("event.chain, an old one", sql("UPDATE event SET chain = (SELECT max(chain) FROM event) WHERE position = {p}"), "3 HASH_MISMATCH@p SEQUENCE_GAP@p SEQUENCE_GAP@next SEQUENCE_GAP@newest ..."),
    ("event.sequence", sql("UPDATE event SET sequence = 50000000 WHERE position = {p}"), "3 HASH_MISMATCH@p SEQUENCE_GAP@p SEQUENCE_GAP@next"),
    ("event.sequence zero", sql("UPDATE event SET sequence = 0 WHERE position = {p}"), "3 HASH_MISMATCH@p ROW_MALFORMED@p SEQUENCE_GAP@p SEQUENCE_GAP@next"),
    ("event.domain", sql("UPDATE event SET domain = domain % 3 + 1 WHERE position = {p}"), "3 DOMAIN_MISMATCH@p"),
    ("event.domain unknown", sql("UPDATE event SET domain = 77 WHERE position = {p}"), "3 DOMAIN_MISMATCH@p STREAM_INDEX"),
    ("event.id", sql("UPDATE event SET id = x'{r16}' WHERE position = {p}"), CONTENT),
    ("event.id short", sql("UPDATE event SET id = x'00' WHERE position = {p}"), UNREADABLE),
    ("event.stream", sql("UPDATE event SET stream = 'product/sku-99' WHERE position = {p}"), "3 HASH_MISMATCH@p STREAM_INDEX"),
    ("event.stream, a byte over the slash", sql("UPDATE event SET stream = 'produc/t' || substr(stream, 9) WHERE position = {p}"), "3 HASH_MISMATCH@p STREAM_INDEX"),
    ("event.stream none", sql("UPDATE event SET stream = NULL WHERE position = {p}"), "3 HASH_MISMATCH@p ROW_MALFORMED@p"),
    ("event.stream none, version 0", sql("UPDATE event SET stream = NULL, version = 0 WHERE position = {p}"), CONTENT),
    ("event.stream for one without", sql("UPDATE event SET stream = '/', version = 0 WHERE position = {noteless}"), "3 ROW_MALFORMED@noteless STREAM_INDEX"),
    ("event.version", sql("UPDATE event SET version = 9000 WHERE position = {p}"), "3 HASH_MISMATCH@p VERSION_BACKWARDS@same STREAM_INDEX"),
    ("event.type", sql("UPDATE event SET type = 'T' WHERE position = {p}"), CONTENT),
    ("event.type with a newline", sql("UPDATE event SET type = 'a' || char(10, 27) || 'b' WHERE position = {p}"), CONTENT),
    ("event.schema", sql("UPDATE event SET schema = 2 WHERE position = {p}"), CONTENT),
    ("event.clock", sql("UPDATE event SET clock = clock + 1 WHERE position = {p}"), CONTENT),
    ("event.clock back", sql("UPDATE event SET clock = 5 WHERE position = {p}"), "3 HASH_MISMATCH@p CLOCK_BACKWARDS@p"),
    ("event.clock far ahead", sql("UPDATE event SET clock = 9007199254740991 WHERE position = {p}"), "3 HASH_MISMATCH@p CLOCK_BACKWARDS@next SEAL_MISMATCH"),
    ("event.clock below zero", sql("UPDATE event SET clock = -1 WHERE position = {p}"), UNREADABLE),
    ("event.time", sql("UPDATE event SET time = time + 1 WHERE position = {p}"), CONTENT),
    ("event.time, the least of all", sql("UPDATE event SET time = 1 WHERE position = {p}"), "3 HASH_MISMATCH@p MARK_MISMATCH@mark"),
    ("event.time too large", sql("UPDATE event SET time = 9007199254740992 WHERE position = {p}"), "3 HASH_MISMATCH@p ROW_MALFORMED@p MARK_MISMATCH@mark"),
    ("event.tags", sql("UPDATE event SET tags = tags || ' z:1' WHERE position = {p}"), CONTENT),
    ("event.tags none", sql("UPDATE event SET tags = NULL WHERE position = {p}"), CONTENT),
    ("event.tags empty for none", sql("UPDATE event SET tags = '' WHERE position = {noteless}"), "3 ROW_MALFORMED@noteless"),
    ("event.signing_key", sql("UPDATE event SET signing_key = 9 WHERE position = {p}"), "3 CHAIN_UNKNOWN@p SEQUENCE_GAP@next MARK_MISMATCH@mark SEAL_MISMATCH"),
    ("event.salt", sql("UPDATE event SET salt = x'{r16}' WHERE position = {p}"), CONTENT),
    ("event.salt none", sql("UPDATE event SET salt = NULL WHERE position = {p}"), UNREADABLE),
    ("event.prev", sql("UPDATE event SET prev = x'{r32}' WHERE position = {p}"), "3 HASH_MISMATCH@p LINK_BROKEN@p"),
    ("event.hash", sql("UPDATE event SET hash = x'{r32}' WHERE position = {p}"), "3 HASH_MISMATCH@p MAC_BAD@p LINK_BROKEN@next MARK_MISMATCH@mark SEAL_MISMATCH"),
    ("event.hash short", sql("UPDATE event SET hash = x'00' WHERE position = {p}"), UNREADABLE),
    ("event.mac", sql("UPDATE event SET mac = x'{r32}' WHERE position = {p}"), "3 MAC_BAD@p"),
    ("event.mac of another event", sql("UPDATE event SET mac = (SELECT mac FROM event WHERE position = {q}) WHERE position = {p}"), "3 MAC_BAD@p"),
    ("event.body", sql("UPDATE event SET body = x'{r32}' WHERE position = {p}"), "3 ROW_MALFORMED@p"),
    ("event.body in place of all content", sql("UPDATE event SET body = x'{r32}', salt = NULL, metadata = NULL, payload = NULL WHERE position = {p}"), "3 HASH_MISMATCH@p FORMAT_UNKNOWN@p"),
    ("event.metadata", sql("UPDATE event SET metadata = replace(metadata, 'ann', 'eve') WHERE position = {p}"), CONTENT),
    ("event.metadata none", sql("UPDATE event SET metadata = NULL WHERE position = {p}"), CONTENT),
    ("event.metadata empty for none", sql("UPDATE event SET metadata = '' WHERE position = {noteless}"), "3 ROW_MALFORMED@noteless"),
    ("event.payload", sql("UPDATE event SET payload = replace(payload, 'x', 'y') || ' ' WHERE position = {p}"), CONTENT),
    ("event.payload none", sql("UPDATE event SET payload = NULL WHERE position = {p}"), UNREADABLE),
    ("event.payload a blob", loose("event", "UPDATE event SET payload = CAST(payload AS BLOB) WHERE position = {p}"), UNREADABLE),
    ("event.payload, of the first", sql("UPDATE event SET payload = '[1]' WHERE position = 1"), "3 HASH_MISMATCH@first"),
    ("event.payload, of the last", sql("UPDATE event SET payload = '[1]' WHERE position = {last}"), "3 HASH_MISMATCH@last"),
    ("event.payload, at a mark", sql("UPDATE event SET payload = '[1]' WHERE position = 1024"), "3 HASH_MISMATCH@mark"),
    ("event.payload, a byte in the file", lambda t: poke(t.db, t.db.read_bytes().index(b'"n": 600') + 6, b"7"), "3 HASH_MISMATCH@byte"),
    ("event.position a text", loose("event", "UPDATE event SET sequence = 'x' WHERE position = {p}"), "3 ROW_MALFORMED@p SEQUENCE_GAP@next MARK_MISMATCH@mark SEAL_MISMATCH CHAIN_INDEX"),
    ("event.time a real", loose("event", "UPDATE event SET time = 1.5 WHERE position = {p}"), UNREADABLE),
]

ORDER = [
    ("rows swapped, neighbours of two chains", sql("UPDATE event SET position = -1 WHERE position = {p}; UPDATE event SET position = {p} WHERE position = {p} + 1; UPDATE event SET position = {p} + 1 WHERE position = -1"), "3 MARK_MISMATCH@mark SEAL_MISMATCH"),
    ("rows swapped, of one chain", sql("UPDATE event SET position = -1 WHERE position = {p}; UPDATE event SET position = {p} WHERE position = {next}; UPDATE event SET position = {next} WHERE position = -1"), "3 SEQUENCE_GAP@p SEQUENCE_GAP@next SEQUENCE_GAP@next2 MARK_MISMATCH@mark SEAL_MISMATCH"),
    ("rows swapped, hashes and marks anew", forged("UPDATE event SET position = -1 WHERE position = {p}; UPDATE event SET position = {p} WHERE position = {p} + 1; UPDATE event SET position = {p} + 1 WHERE position = -1"), "3 SEAL_MAC_BAD"),
    ("places swapped", sql("UPDATE event SET sequence = -1 WHERE position = {p}; UPDATE event SET sequence = sequence - 1 WHERE position = {next}; UPDATE event SET sequence = (SELECT sequence + 1 FROM event WHERE position = {next}) WHERE position = {p}"), "3 HASH_MISMATCH@p HASH_MISMATCH@next SEQUENCE_GAP@p SEQUENCE_GAP@next SEQUENCE_GAP@next2"),
    ("contents swapped", sql("CREATE TABLE kept AS SELECT * FROM event WHERE position = {p}; UPDATE event SET (payload, salt, metadata) = (SELECT payload, salt, metadata FROM event WHERE position = {next}) WHERE position = {p}; UPDATE event SET (payload, salt, metadata) = (SELECT payload, salt, metadata FROM kept) WHERE position = {next}; DROP TABLE kept"), "3 HASH_MISMATCH@p HASH_MISMATCH@next"),
    ("first deleted", sql("DELETE FROM event WHERE position = 1"), "3 POSITION_GAP@first SEQUENCE_GAP@second MARK_MISMATCH@mark SEAL_MISMATCH"),
    ("middle deleted", sql("DELETE FROM event WHERE position = {p}"), GONE),
    ("middle deleted, gap closed", sql("DELETE FROM event WHERE position = {p}; UPDATE event SET position = -position WHERE position > {p}; UPDATE event SET position = -position - 1 WHERE position < 0"), "3 SEQUENCE_GAP@next-1 POSITION_GAP@last MARK_MISMATCH@mark SEAL_MISMATCH ROLLED_BACK ROLLED_BACK@last BRANCH_MISMATCH"),
    ("middle deleted, all but the key made to fit", forged("DELETE FROM event WHERE position = {p}; UPDATE event SET position = -position, sequence = sequence - (chain = 1) WHERE position > {p} AND (chain = 1 OR 1); UPDATE event SET position = -position - 1 WHERE position < 0"), "3 ..."),
    ("last deleted", sql("DELETE FROM event WHERE position = {last}"), "3 POSITION_GAP@last SEAL_MISMATCH ROLLED_BACK ROLLED_BACK@last ..."),
    ("last deleted, seal's position mended", sql("DELETE FROM event WHERE position = {last}; UPDATE seal SET position = position - 1"), "3 SEAL_MISMATCH SEAL_MAC_BAD ROLLED_BACK ..."),
    ("last deleted, seal made to fit", forged("DELETE FROM event WHERE position = {last}"), "3 SEAL_MAC_BAD ROLLED_BACK ..."),
    ("tail cut off", sql("DELETE FROM event WHERE position > {last} - 9"), "3 POSITION_GAP@last-8 SEAL_MISMATCH ROLLED_BACK ROLLED_BACK@last STREAM_INDEX"),
    ("tail cut off to the mark, its link in the seal", sql("DELETE FROM event WHERE position > 1024; UPDATE seal SET position = 1024, link = (SELECT link FROM mark WHERE position = 1024), clock = (SELECT max(clock) FROM event)"), "3 SEAL_MAC_BAD ROLLED_BACK CHAIN_EMPTY STREAM_INDEX BRANCH_MISMATCH"),
    ("tail cut off, seal made to fit, no state", both(forged("DELETE FROM event WHERE position > {last} - 9"), no_state), "3 SEAL_MAC_BAD STREAM_INDEX"),
    ("all deleted", sql("DELETE FROM event"), "3 POSITION_GAP@first SEAL_MISMATCH ROLLED_BACK ROLLED_BACK@last CHAIN_EMPTY STREAM_INDEX BRANCH_MISMATCH"),
    ("all deleted, seal of an empty ledger", sql("DELETE FROM event; DELETE FROM mark; UPDATE seal SET position = 0, clock = 0, link = zeroblob(32)"), "3 SEAL_MAC_BAD ROLLED_BACK CHAIN_EMPTY STREAM_INDEX BRANCH_MISMATCH"),
    ("a chain dropped", sql("DELETE FROM event WHERE chain = (SELECT chain FROM event WHERE position = {q})"), "3 POSITION_GAP@q MARK_MISMATCH@mark SEAL_MISMATCH ..."),
    ("a chain dropped, positions closed, marks and seal made to fit", forged("DELETE FROM event WHERE chain = (SELECT chain FROM event WHERE position = {q}); UPDATE event SET position = -position; UPDATE event SET position = (SELECT count(*) FROM event AS e WHERE e.position >= event.position AND e.position < 0) WHERE position < 0; DELETE FROM mark"), "3 SEAL_MAC_BAD ROLLED_BACK CHAIN_EMPTY BRANCH_MISMATCH"),
    ("the newest chain's last dropped", sql("DELETE FROM event WHERE position = {end_orders}"), "3 POSITION_GAP@end_orders SEAL_MISMATCH STREAM_INDEX"),
    ("inserted at the end with a valid hash", forged("INSERT INTO event SELECT {behind}, chain, (SELECT max(sequence) + 1 FROM event AS e WHERE e.chain = event.chain), domain, x'{r16}', NULL, 0, type, schema, clock + 9, time, NULL, signing_key, salt, prev, hash, x'{r32}', NULL, NULL, '[]' FROM event WHERE position = {last}"), "3 MAC_BAD@behind SEAL_MAC_BAD"),
    ("inserted at the end, seal as it was", forged("INSERT INTO event SELECT {behind}, chain, (SELECT max(sequence) + 1 FROM event AS e WHERE e.chain = event.chain), domain, x'{r16}', NULL, 0, type, schema, clock + 9, time, NULL, signing_key, salt, prev, hash, x'{r32}', NULL, NULL, '[]' FROM event WHERE position = {last}", seal=False), "3 SEAL_MISMATCH@behind"),
    ("inserted before position 1", sql("INSERT INTO event SELECT -5, chain, 777777, domain, id, stream, version, type, schema, clock, time, tags, signing_key, salt, prev, hash, mac, body, metadata, payload FROM event WHERE position = {p}"), "3 SEAL_MISMATCH", ("--since-last", "3 SEAL_MISMATCH")),
    ("an event recorded twice", sql("INSERT INTO event SELECT {behind}, chain, 777777, domain, id, stream, version, type, schema, clock, time, tags, signing_key, salt, prev, hash, mac, body, metadata, payload FROM event WHERE position = {p}"), "3 SEAL_MISMATCH@behind"),
    ("REPLACE past the guards", openly("PRAGMA recursive_triggers = OFF; DROP TRIGGER event_no_replace; REPLACE INTO event SELECT position, chain, sequence, domain, id, stream, version, type, schema, clock, time, tags, signing_key, salt, prev, hash, mac, body, metadata, '[1]' FROM event WHERE position = {p}"), "3 SCHEMA_CHANGED HASH_MISMATCH@p"),
    ("payload, hash made to fit", sql("UPDATE event SET payload = '[1]' WHERE position = {p}; UPDATE event SET hash = x'{r32}' WHERE position = {p}"), "3 HASH_MISMATCH@p MAC_BAD@p LINK_BROKEN@next MARK_MISMATCH@mark SEAL_MISMATCH"),
    ("payload, all hashes made to fit", forged("UPDATE event SET payload = '[1]' WHERE position = {end_orders}"), "3 MAC_BAD@end_orders SEAL_MAC_BAD"),
    ("signed anew with another key", resigned("UPDATE event SET payload = '[1]' WHERE position = {p}"), "3 KEY_UNKNOWN@first KEY_UNKNOWN ROLLED_BACK ROLLED_BACK@last", ("--hash-only", "3 ROLLED_BACK ROLLED_BACK@last")),
    ("signed anew with another key, no state folder", both(resigned("UPDATE event SET payload = '[1]' WHERE position = {p}"), no_state), "15 KEY_UNKNOWN@first KEY_UNKNOWN", ("--hash-only", "0"), ("--expect-heads heads", "3 HEAD_MISMATCH ...")),
    ("signed anew with another key, under our key's name", both(resigned("UPDATE event SET payload = '[1]' WHERE position = {p}"), sql("UPDATE signing_key SET name = (SELECT k FROM (SELECT 'hs256-0000000000000000' AS k))")), "3 HASH_MISMATCH@p HASH_MISMATCH@first HASH_MISMATCH@last ..."),
    ("another ledger's events spliced in", spliced, "3 KEY_UNKNOWN@behind SEAL_MAC_BAD"),
    ("another ledger's file in this place", another_file, "0|3|14|15 ..."),
]

KEYS = [
    ("chain.id", sql("UPDATE chain SET id = 99 WHERE id = 1"), "3 CHAIN_UNKNOWN@first CHAIN_UNKNOWN@p ..."),
    ("chain.id swapped", sql("UPDATE chain SET id = -1 WHERE id = 1; UPDATE chain SET id = 1 WHERE id = 2; UPDATE chain SET id = 2 WHERE id = -1"), "3 HASH_MISMATCH@first DOMAIN_MISMATCH@first ..."),
    ("chain.origin", sql("UPDATE chain SET origin = 'evil' WHERE id = 1"), "3 HASH_MISMATCH@first HASH_MISMATCH@p LINK_BROKEN@first ..."),
    ("chain.origin no token", sql("UPDATE chain SET origin = 'a' || char(10, 27) WHERE id = 1"), "3 CHAIN_UNKNOWN@first CHAIN_UNKNOWN@p ..."),
    ("chain.epoch", sql("UPDATE chain SET epoch = epoch + 1 WHERE id = 1"), "3 HASH_MISMATCH@first HASH_MISMATCH@p LINK_BROKEN@first ..."),
    ("chain.domain", sql("UPDATE chain SET domain = 77 WHERE id = 1"), "3 CHAIN_UNKNOWN@first CHAIN_UNKNOWN@p ..."),
    ("chain deleted", sql("DELETE FROM chain WHERE id = 2"), "3 CHAIN_UNKNOWN@q ..."),
    ("chain added", sql("INSERT INTO chain VALUES (50, 'store-x', 5, 1)"), "3 CHAIN_EMPTY"),
    ("chain added with an endless id", sql("INSERT INTO chain VALUES (9223372036854775807, 'store-x', 5, 1)"), "3 CHAIN_EMPTY"),
    ("domain.id", sql("UPDATE domain SET id = 77 WHERE id = 1"), "3 CHAIN_UNKNOWN@first CHAIN_UNKNOWN@p ..."),
    ("domain.name", sql("UPDATE domain SET name = 'stock' WHERE id = 1"), "3 HASH_MISMATCH@first HASH_MISMATCH@p LINK_BROKEN@first ..."),
    ("domain.name no token", sql("UPDATE domain SET name = 'in ventory' WHERE id = 1"), "3 CHAIN_UNKNOWN@first CHAIN_UNKNOWN@p ..."),
    ("domain names swapped", sql("UPDATE domain SET name = 'x' WHERE id = 1; UPDATE domain SET name = 'inventory' WHERE id = 2; UPDATE domain SET name = 'orders' WHERE id = 1"), "3 HASH_MISMATCH@first HASH_MISMATCH@q ..."),
    ("domain deleted", sql("DELETE FROM domain WHERE id = 2"), "3 CHAIN_UNKNOWN@q ..."),
    ("domain added", sql("INSERT INTO domain VALUES (50, 'more')"), "0"),
    ("signing_key.id", sql("UPDATE signing_key SET id = 2"), "3 CHAIN_UNKNOWN@first CHAIN_UNKNOWN@last ..."),
    ("signing_key.name", sql("UPDATE signing_key SET name = 'hs256-0000000000000000'"), "3 HASH_MISMATCH@first HASH_MISMATCH@last KEY_UNKNOWN@first ..."),
    ("signing_key.name no token", sql("UPDATE signing_key SET name = ' '"), "3 CHAIN_UNKNOWN@first CHAIN_UNKNOWN@last ..."),
    ("signing_key deleted", sql("DELETE FROM signing_key"), "3 CHAIN_UNKNOWN@first CHAIN_UNKNOWN@last ..."),
    ("signing_key added", sql("INSERT INTO signing_key VALUES (50, 'hs256-0000000000000000')"), "0"),
    ("mark.position", sql("UPDATE mark SET position = 1023 WHERE position = 1024"), "3 MARK_MISMATCH@mark"),
    ("mark.link", sql("UPDATE mark SET link = x'{r32}' WHERE position = 1024"), "3 MARK_MISMATCH@mark"),
    ("mark.link short", sql("UPDATE mark SET link = x'00' WHERE position = 1024"), "3 MARK_MISMATCH@mark", ("--from 1030", "3 MARK_MISMATCH@mark")),
    ("mark.min_time", sql("UPDATE mark SET min_time = min_time + 1 WHERE position = 1024"), "3 MARK_MISMATCH@mark"),
    ("mark.max_time", sql("UPDATE mark SET max_time = max_time - 1 WHERE position = 1024"), "3 MARK_MISMATCH@mark"),
    ("mark.max_time a text", loose("mark", "UPDATE mark SET max_time = 'x' WHERE position = 1024"), "3 MARK_MISMATCH@mark"),
    ("mark deleted", sql("DELETE FROM mark WHERE position = 1024"), "3 MARK_MISMATCH@mark MARK_MISMATCH"),
    ("mark added", sql("INSERT INTO mark SELECT 5, link, min_time, max_time FROM mark WHERE position = 1024"), "3 MARK_MISMATCH"),
    ("seal.id", lambda t: reshaped(t.db, "seal", "(id = 1)", "(id > 0)", "UPDATE seal SET id = 2"), "3 FILE_CORRUPT"),
    ("seal.node", sql("UPDATE seal SET node = 'store-x'"), "14"),
    ("seal.node no token", sql("UPDATE seal SET node = ''"), "3 FILE_CORRUPT"),
    ("seal.epoch", sql("UPDATE seal SET epoch = epoch + 1"), "3 SEAL_MAC_BAD"),
    ("seal.epoch, the old one", sql("UPDATE seal SET epoch = (SELECT min(epoch) FROM chain)"), "3 SEAL_MAC_BAD"),
    ("seal.position", sql("UPDATE seal SET position = position - 1"), "3 SEAL_MISMATCH SEAL_MISMATCH@last SEAL_MAC_BAD ROLLED_BACK"),
    ("seal.position ahead", sql("UPDATE seal SET position = position + 1"), "3 POSITION_GAP@behind SEAL_MAC_BAD"),
    ("seal.position endless", sql("UPDATE seal SET position = 9223372036854775807"), "3 POSITION_GAP@behind SEAL_MAC_BAD MARK_MISMATCH ..."),
    ("seal.clock", sql("UPDATE seal SET clock = clock + 1"), "3 SEAL_MISMATCH SEAL_MAC_BAD"),
    ("seal.clock endless", sql("UPDATE seal SET clock = 9223372036854775807"), "3 SEAL_MISMATCH SEAL_MAC_BAD"),
    ("seal.link", sql("UPDATE seal SET link = x'{r32}'"), "3 SEAL_MISMATCH SEAL_MAC_BAD"),
    ("seal.inode", sql("UPDATE seal SET inode = inode + 1"), "3 SEAL_MAC_BAD"),
    ("seal.birth", sql("UPDATE seal SET birth = birth + 1"), "3 SEAL_MAC_BAD"),
    ("seal.signing_key", sql("UPDATE seal SET signing_key = 'hs256-0000000000000000'"), "15 KEY_UNKNOWN"),
    ("seal.signing_key short", sql("UPDATE seal SET signing_key = 'x'"), "3 FILE_CORRUPT"),
    ("seal.mac", sql("UPDATE seal SET mac = x'{r32}'"), "3 SEAL_MAC_BAD"),
    ("seal.position a text", loose("seal", "UPDATE seal SET position = 'x'"), "3 FILE_CORRUPT"),
    ("seal deleted", sql("DELETE FROM seal"), "3 FILE_CORRUPT"),
    ("seal twice", lambda t: reshaped(t.db, "seal", "(id = 1)", "(id > 0)", "INSERT INTO seal SELECT 2, node, epoch, position, clock, link, inode, birth, signing_key, mac FROM seal"), "0"),
]

# Cursors are not signed: what is set back is read again, and a cursor of another history is refused.
CURSORS = [
    ("cursor.name", openly("UPDATE cursor SET name = 'other' WHERE name = 'mail'"), "0"),
    ("cursor.position", openly("UPDATE cursor SET position = 3 WHERE name = 'mail'"), "0"),
    ("cursor.position endless", openly("UPDATE cursor SET position = 9223372036854775807"), "0"),
    ("cursor.hash", openly("UPDATE cursor SET hash = x'{r32}'"), "0"),
    ("cursor.hash short", openly("UPDATE cursor SET hash = x'00'"), "0"),
    ("cursor.updated", openly("UPDATE cursor SET updated = -1"), "0"),
    ("cursor.position a text", shaped("cursor", "WITHOUT ROWID, STRICT", "WITHOUT ROWID", "UPDATE cursor SET position = 'x'"), "0"),
    ("cursors deleted", openly("DELETE FROM cursor"), "0"),
]

# A settled fork of another node's chain, its branch of three events. The tables that go with it.
FIRST = "WHERE id = (SELECT min(id) FROM branch)"
BRANCHES = [
    ("branch.chain", sql(f"UPDATE branch SET chain = 1 {FIRST}"), "3 BRANCH_MISMATCH ..."),
    ("branch.sequence", sql(f"UPDATE branch SET sequence = 7 {FIRST}"), "3 BRANCH_MISMATCH ..."),
    ("branch.hash", sql(f"UPDATE branch SET hash = x'{{r32}}' {FIRST}"), "3 BRANCH_MISMATCH ..."),
    ("branch.hash short", sql(f"UPDATE branch SET hash = x'00' {FIRST}"), "3 BRANCH_MISMATCH ..."),
    ("branch.prev", sql(f"UPDATE branch SET prev = x'{{r32}}' {FIRST}"), "3 BRANCH_MISMATCH"),
    ("branch.root of the first, which hides the fork", sql(f"UPDATE branch SET root = x'{{r32}}' {FIRST}"), "3 BRANCH_MISMATCH"),
    ("branch.root of the first, nothing decided", sql(f"DELETE FROM settlement; UPDATE branch SET root = x'{{r32}}' {FIRST}"), "3 BRANCH_MISMATCH"),
    ("branch's first event deleted, nothing decided", sql(f"DELETE FROM settlement; DELETE FROM branch {FIRST}"), "3 BRANCH_MISMATCH"),
    ("branch.root of all", sql("UPDATE branch SET root = x'{r32}'"), "3 BRANCH_MISMATCH"),
    ("branch.received", sql("UPDATE branch SET received = 5"), "0"),
    ("branch.received before all time", sql("UPDATE branch SET received = -1"), "3 BRANCH_MISMATCH"),
    ("chain.id far ahead, its events too", sql("UPDATE chain SET id = 4000 WHERE id = 1; UPDATE event SET chain = 4000 WHERE chain = 1"), "3 CHAIN_UNKNOWN@p ..."),
    ("branch.line", sql("UPDATE branch SET line = replace(line, '{{\"b\":1}}', '{{\"b\":9}}')"), "3 HASH_MISMATCH"),
    ("branch.line of another key", sql(f"UPDATE branch SET line = replace(line, 'hs256-', 'hs256-0') {FIRST}"), "3 ROW_MALFORMED"),
    ("branch.line no event", sql(f"UPDATE branch SET line = 'x' {FIRST}"), "3 ROW_MALFORMED"),
    ("branch.line, its MAC", sql(f"UPDATE branch SET line = substr(line, 1, instr(line, '\"mac\"') + 6) || '{{r32}}\"}}}}' {FIRST}"), "3 MAC_BAD"),
    ("branch's first event deleted", sql(f"DELETE FROM branch {FIRST}"), "3 BRANCH_MISMATCH"),
    ("branch's middle event deleted", sql("DELETE FROM branch WHERE sequence = 3"), "3 BRANCH_MISMATCH"),
    ("branch's last event deleted", sql("DELETE FROM branch WHERE sequence = 4"), "0"),
    ("branch deleted", sql("DELETE FROM branch"), "3 BRANCH_MISMATCH"),
    ("branch deleted, and the decision", sql("DELETE FROM branch; DELETE FROM settlement"), "0"),
    ("settlement deleted", sql("DELETE FROM settlement"), "3 FORK"),
    ("settlement.root", sql("UPDATE settlement SET root = x'{r32}'"), "3 BRANCH_MISMATCH FORK"),
    ("settlement.position", sql("UPDATE settlement SET position = {p}"), "3 BRANCH_MISMATCH"),
    ("settlement.position of no event", sql("UPDATE settlement SET position = 999999"), "3 BRANCH_MISMATCH"),
    ("settlement added", sql("INSERT INTO settlement SELECT x'{r32}', position FROM settlement"), "3 BRANCH_MISMATCH"),
]

# Told by others and never signed here: nothing is lost by a lie in it, and verify does not look at it.
HEARSAY = [
    ("published ahead", sql("INSERT INTO published VALUES ('shop', 1, 99999, 1)"), "0"),
    ("published of no chain", sql("INSERT INTO published VALUES ('shop', 99, 1, 1)"), "0"),
    ("received ahead", sql("INSERT INTO received VALUES ('shop', 'inventory', 1, 99999, 1)"), "0"),
    ("a peer's head made up", sql("INSERT INTO peer_head VALUES ('store-c', 'store-a', 1, 'inventory', 1, x'{r32}', 1, 1, 1)"), "0"),
    ("a peer's head malformed", sql("INSERT INTO peer_head VALUES ('store-c', '', -1, '', -1, x'00', -1, -1, -1)"), "0"),
    ("quarantine made up", sql("INSERT INTO quarantine VALUES (1, x'{r32}', 'peer x', 'mac', 'a\nb', 'store-b', 1, 'inventory', 1, 1, 1, 1, 'open', 1, x'00')"), "0"),
    ("quarantine of an unknown state", sql("INSERT INTO quarantine VALUES (1, x'{r32}', 'peer x', 'strange', 'a', NULL, NULL, NULL, NULL, -1, -1, -1, 'strange', -1, x'00')"), "0"),
    ("snapshot made up", sql("INSERT INTO snapshot VALUES (1, 'product/sku-1', 'inventory', {p}, {p}, 9, 9, 1, x'{r32}', x'{r32}', 1, 1, 1, x'{r32}', 'hs256-0000000000000000', x'{r32}', '{{}}')"), "0"),
]

RECURSE = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c"

SCHEMA = [
    *((f"guard dropped: {name}", openly(f"DROP TRIGGER {name}"), "3 SCHEMA_CHANGED") for name in (
        "event_no_update", "event_no_delete", "event_no_replace", "mark_no_update", "chain_no_replace", "seal_no_delete")),
    ("guard made hollow", openly("DROP TRIGGER event_no_delete; CREATE TRIGGER event_no_delete BEFORE DELETE ON event BEGIN SELECT 1; END"), "3 SCHEMA_CHANGED"),
    ("guard's case changed", shape("event_no_delete", "RAISE(ABORT", "raise(abort"), "3 SCHEMA_CHANGED"),
    ("trigger that swallows events", openly("CREATE TRIGGER evil BEFORE INSERT ON event BEGIN SELECT RAISE(IGNORE); END"), "3 SCHEMA_CHANGED"),
    ("trigger that changes events", openly("DROP TRIGGER event_no_update; CREATE TRIGGER event_no_update AFTER INSERT ON event BEGIN UPDATE event SET payload = '[0]' WHERE position = new.position; END"), "3 SCHEMA_CHANGED"),
    ("trigger without an end", openly(f"CREATE TRIGGER evil BEFORE INSERT ON event BEGIN {RECURSE}; END"), "3 SCHEMA_CHANGED"),
    ("trigger without an end on the seal", openly(f"CREATE TRIGGER evil BEFORE UPDATE ON seal BEGIN {RECURSE}; END"), "3 SCHEMA_CHANGED"),
    ("trigger without an end on cursors", openly(f"CREATE TRIGGER evil BEFORE INSERT ON cursor BEGIN {RECURSE}; END"), "3 SCHEMA_CHANGED"),
    ("trigger that calls itself", openly("CREATE TABLE loop (n); CREATE TRIGGER evil AFTER INSERT ON loop BEGIN INSERT INTO loop VALUES (new.n + 1); END; CREATE TRIGGER evil2 BEFORE INSERT ON event BEGIN INSERT INTO loop VALUES (1); END"), "3 SCHEMA_CHANGED"),
    ("trigger under the name of a statistics table", both(openly("CREATE TRIGGER evil BEFORE INSERT ON event BEGIN SELECT RAISE(IGNORE); END"), schema("UPDATE sqlite_schema SET type = 'table', name = 'sqlite_stat1', tbl_name = 'sqlite_stat1' WHERE name = 'evil'")), "3 FILE_CORRUPT SCHEMA_CHANGED"),
    ("a table under the name of a statistics table", both(openly("ANALYZE"), schema("UPDATE sqlite_schema SET sql = 'CREATE TABLE sqlite_stat1(tbl,idx,stat,evil)' WHERE name = 'sqlite_stat1'")), "3 SCHEMA_CHANGED"),
    ("statistics", openly("ANALYZE"), "0"),
    ("statistics that lie", openly("ANALYZE; UPDATE sqlite_stat1 SET stat = '1000000 1000000 1000000 1000000'"), "0"),
    ("table added", openly("CREATE TABLE more (x)"), "3 SCHEMA_CHANGED"),
    ("virtual table added", openly("CREATE VIRTUAL TABLE more USING fts5(x)"), "3 SCHEMA_CHANGED"),
    ("view over the events", openly("ALTER TABLE event RENAME TO hidden; CREATE VIEW event AS SELECT * FROM hidden WHERE position <> {p}"), "3 SCHEMA_CHANGED FILE_CORRUPT BRANCH_MISMATCH"),
    ("view over the seal", openly("ALTER TABLE seal RENAME TO hidden; CREATE VIEW seal AS SELECT * FROM hidden"), "3 FILE_CORRUPT SCHEMA_CHANGED"),
    ("view of the same name as before", openly("DROP VIEW events; CREATE VIEW events AS SELECT 1 AS position"), "3 SCHEMA_CHANGED"),
    ("another table in the events' place", openly("ALTER TABLE event RENAME TO hidden; CREATE TABLE event AS SELECT * FROM hidden WHERE position <> {p}"), "3 POSITION_GAP@p SEQUENCE_GAP@next SCHEMA_CHANGED MARK_MISMATCH@mark SEAL_MISMATCH ..."),
    ("a virtual table in the events' place", openly("ALTER TABLE event RENAME TO hidden; CREATE VIRTUAL TABLE event USING fts5(position, chain, sequence, domain, id, stream, version, type, schema, clock, time, tags, signing_key, salt, prev, hash, mac, body, metadata, payload)"), "3 SCHEMA_CHANGED ..."),
    ("pages of the tables swapped", schema("UPDATE sqlite_schema SET rootpage = (SELECT sum(rootpage) FROM sqlite_schema AS s WHERE s.name IN ('event', 'cursor')) - rootpage WHERE name IN ('event', 'cursor')"), "3 FILE_CORRUPT ..."),
    ("pages of two indexes swapped", schema("UPDATE sqlite_schema SET rootpage = (SELECT sum(rootpage) FROM sqlite_schema AS s WHERE s.name IN ('event_id', 'event_type')) - rootpage WHERE name IN ('event_id', 'event_type')"), "0", ("--deep", "3 FILE_CORRUPT")),
    ("root page out of the file", schema("UPDATE sqlite_schema SET rootpage = 999999 WHERE name = 'event'"), "3 FILE_CORRUPT"),
    ("root page of the schema itself", schema("UPDATE sqlite_schema SET rootpage = 1 WHERE name = 'event'"), "3 FILE_CORRUPT"),
    ("definition cut short", schema("UPDATE sqlite_schema SET sql = substr(sql, 1, 60) WHERE name = 'event'"), "3 FILE_CORRUPT SCHEMA_CHANGED"),
    ("definition none", schema("UPDATE sqlite_schema SET sql = NULL WHERE name = 'event'"), "3 FILE_CORRUPT SCHEMA_CHANGED"),
    ("definition a blob", schema("UPDATE sqlite_schema SET sql = CAST(sql AS BLOB) WHERE name = 'events'"), "3 SCHEMA_CHANGED"),
    ("all definitions gone", schema("DELETE FROM sqlite_schema"), "3 FILE_CORRUPT SCHEMA_CHANGED"),
    ("an unknown kind of object", schema("INSERT INTO sqlite_schema VALUES ('strange', 'x', 'x', 0, '')"), "3 FILE_CORRUPT SCHEMA_CHANGED"),
    ("a nul byte in a definition", schema("UPDATE sqlite_schema SET sql = sql || char(0) || 'x' WHERE name = 'event_no_delete'"), "3 SCHEMA_CHANGED"),
    ("collation of a column", shape("event", "stream TEXT,", "stream TEXT COLLATE NOCASE,"), "3 SCHEMA_CHANGED"),
    ("collation of the domains' names", shape("domain", "name TEXT NOT NULL", "name TEXT COLLATE NOCASE NOT NULL"), "3 SCHEMA_CHANGED"),
    ("collation that does not exist", shape("event", "type TEXT NOT NULL", "type TEXT COLLATE klingon NOT NULL"), "3 SCHEMA_CHANGED"),
    ("STRICT taken away", shape("event", ") STRICT", ")"), "3 SCHEMA_CHANGED"),
    ("column added", openly("ALTER TABLE event ADD COLUMN more TEXT"), "3 SCHEMA_CHANGED"),
    ("generated column in a column's place", shape("event", "payload TEXT", "payload TEXT AS (replace(metadata, 'ann', 'eve'))"), "3 FILE_CORRUPT SCHEMA_CHANGED"),
    ("generated column that grows without end", shape("event", "payload TEXT", "payload TEXT AS (hex(zeroblob(500000000)))"), "3 FILE_CORRUPT SCHEMA_CHANGED"),
    ("generated column that takes long", shape("event", "payload TEXT", "payload TEXT AS (replace(hex(zeroblob(900000)), '00', 'aaaa') LIKE '%a%a%a%a%a%a%ab')"), "3 FILE_CORRUPT SCHEMA_CHANGED"),
    ("generated column of the seal", shape("seal", "clock INTEGER NOT NULL", "clock INTEGER AS (replace(hex(zeroblob(900000)), '00', 'aaaa') LIKE '%a%a%a%a%a%a%ab')"), "3 FILE_CORRUPT SCHEMA_CHANGED"),
    ("CHECK that takes long", shape("mark", "max_time INTEGER NOT NULL", "max_time INTEGER NOT NULL CHECK (replace(hex(zeroblob(900000)), '00', 'aaaa') LIKE '%a%a%a%a%a%a%ab')"), "3 SCHEMA_CHANGED", ("--deep", "3 SCHEMA_CHANGED")),
    ("default in a column's place", shape("event", "body BLOB", "body BLOB DEFAULT x'00'"), "3 SCHEMA_CHANGED"),
    ("CHECK that refuses events", shape("event", "payload TEXT", "payload TEXT CHECK (position < 5)"), "3 SCHEMA_CHANGED"),
    ("CHECK that swallows what conflicts", shape("event", "payload TEXT", "payload TEXT UNIQUE ON CONFLICT IGNORE"), "3 SCHEMA_CHANGED"),
    ("columns swapped by name", shape("event", "prev BLOB NOT NULL,\n\thash", "hash BLOB NOT NULL,\n\tprev"), "3 SCHEMA_CHANGED HASH_MISMATCH@p ..."),
    ("rowid no longer the position", shape("event", "position INTEGER PRIMARY KEY", "position INT PRIMARY KEY"), "3 SCHEMA_CHANGED FILE_CORRUPT BRANCH_MISMATCH"),
    ("WITHOUT ROWID of a table with", shape("mark", ") STRICT", ") WITHOUT ROWID, STRICT"), "3 SCHEMA_CHANGED FILE_CORRUPT"),
    ("partial index", shape("event_id", "(id)", "(id) WHERE position < 5"), "3 SCHEMA_CHANGED"),
    ("index on another column", shape("event_id", "(id)", "(mac)"), "3 SCHEMA_CHANGED"),
    ("index on an expression", shape("event_chain", "(chain, sequence)", "(chain, sequence + 0)"), "3 SCHEMA_CHANGED"),
    ("index sorted downwards", shape("event_chain", "(chain, sequence)", "(chain, sequence DESC)"), "3 SCHEMA_CHANGED CHAIN_INDEX"),
    ("index dropped", openly("DROP INDEX event_id"), "3 SCHEMA_CHANGED"),
    ("index of the chains dropped", openly("DROP INDEX event_chain"), "3 SCHEMA_CHANGED ..."),
    ("index added", openly("CREATE INDEX more ON event (time)"), "3 SCHEMA_CHANGED"),
    ("made anew by VACUUM", openly("VACUUM"), "0"),
    ("application_id", openly("PRAGMA application_id = 7"), "13"),
    ("user_version newer", openly("PRAGMA user_version = 9"), "13"),
    ("user_version zero", openly("PRAGMA user_version = 0"), "13"),
    ("journal mode delete", openly("PRAGMA journal_mode = DELETE"), "0"),
    ("text encoding", lambda t: poke(t.db, 56, bytes([0, 0, 0, 2])), "3 FILE_CORRUPT SCHEMA_CHANGED"),
]

FILES = [
    ("-wal removed", wal(wal_removed), "3 ROLLED_BACK"),
    ("-wal of another ledger", wal(wal_of_another), "3|13|15|23 ..."),
    ("-wal cut in the middle", wal(wal_cut), "3 ROLLED_BACK"),
    ("-wal with zeros in its first frame", wal(wal_poked), "3 ROLLED_BACK"),
    ("-shm garbled", wal(shm_garbled), "0"),
    ("file empty", lambda t: cut(t.db, 0), "13"),
    ("file cut to less than a header", lambda t: cut(t.db, 60), "13"),
    ("file cut to a page", lambda t: cut(t.db, 4096), "3 FILE_CORRUPT"),
    ("file cut in the middle", file_cut(0.5), "3 ..."),
    ("file without its last page", lambda t: cut(t.db, t.db.stat().st_size - 4096), "3 ..."),
    ("file cut in a page", lambda t: cut(t.db, t.db.stat().st_size - 1000), "3 FILE_CORRUPT ..."),
    ("file longer by garbage", lambda t: t.db.open("ab").write(t.dice.randbytes(9000)), "0"),
    ("header: magic", file_poked(0, b"X"), "13"),
    ("header: page size", file_poked(16, b"\x02\x00"), "3 FILE_CORRUPT"),
    ("header: page size 1", file_poked(16, b"\x00\x01"), "3 FILE_CORRUPT"),
    ("header: reserved space", file_poked(20, b"\x80"), "0", ("--deep", "3 FILE_CORRUPT")),
    ("header: WAL version", file_poked(18, b"\x05\x05"), "13"),
    ("header: size in pages", file_poked(28, b"\x00\x00\x00\x03"), "3 FILE_CORRUPT"),
    ("header: free list", file_poked(32, b"\x00\x00\x00\x02\x00\x00\x00\x09"), "0"),
    ("older copy put back by cp, with -wal and state kept", older(state=False), "3 ROLLED_BACK"),
    ("older copy put back by mv", older_by_mv(state=False), "3 ROLLED_BACK"),
]

# Another true state: nothing in the file shows it. What knows better finds it.
UNSEEN = [
    ("older copy put back with its state folder, by cp", older(), "0", ("--expect-heads heads", "3 HEAD_MISSING")),
    ("older copy put back with its state folder, by mv", older_by_mv(), "0", ("--expect-heads heads", "3 HEAD_MISSING")),
    ("older copy put back, no head file", both(older(state=False), state_without("head")), "3 ROLLED_BACK", ("--since-last", "3 ROLLED_BACK")),
    ("older copy put back, no last run", both(older(state=False), state_without("verified")), "3 ROLLED_BACK"),
    ("older copy put back, no state folder", both(older(), no_state), "0", ("--expect-heads heads", "3 HEAD_MISSING")),
    ("rewritten with the key", rewritten("{last} - 3"), "3 ROLLED_BACK ROLLED_BACK@last"),
    ("rewritten with the key, no head file", both(rewritten("{last} - 3"), state_without("head")), "3 ROLLED_BACK@last", ("--since-last", "3 ROLLED_BACK@last")),
    ("rewritten with the key, no last run", both(rewritten("{last} - 3"), state_without("verified")), "3 ROLLED_BACK"),
    ("rewritten with the key, no state folder", both(rewritten("{last} - 3"), no_state), "0", ("--expect-heads heads", "3 HEAD_MISMATCH")),
    ("rewritten with the key, in another chain than the last event's", rewritten("{p}"), "0", ("--since-last", "0"), ("--expect-heads heads", "3 HEAD_MISMATCH")),
    ("restored as another file", lambda t: restored_elsewhere(t), "0"),
]

# Last the indexes: what they say of the events.
INDEXES = [
    ("index of ids without an entry", without("event_id", "position <> {p}"), "0", ("--deep", "3 ...")),
    ("index of types without entries", without("event_type", "type <> 't1'"), "0", ("--deep", "3 ...")),
    ("index of chains without an entry", without("event_chain", "position <> {p}"), "0", ("--deep", "3 ...")),
    ("index of chains without a chain's last", without("event_chain", "position <> {end_inventory}"), "3 CHAIN_INDEX", ("--deep", "3 ...")),
    ("index of chains without a chain", without("event_chain", "chain <> {newest_chain}"), "3 CHAIN_INDEX", ("--deep", "3 ...")),
    ("index of chains empty", without("event_chain", "0"), "3 CHAIN_INDEX", ("--deep", "3 ...")),
    ("term.term", sql("UPDATE term SET term = 'x:1' WHERE position = {p} AND term LIKE 'sku:%'"), "0", ("--deep", "3 TERM_INDEX")),
    ("term.position", sql("UPDATE term SET position = position + 1 WHERE position = {p}"), "0", ("--deep", "3 TERM_INDEX")),
    ("term.block", sql("UPDATE term SET block = 99 WHERE position = {p}"), "0", ("--deep", "3 TERM_INDEX")),
    ("term.block a text", shaped("term", "WITHOUT ROWID, STRICT", "WITHOUT ROWID", "UPDATE term SET block = 'x' WHERE position = {p}"), "0", ("--deep", "3 TERM_INDEX ...")),
    ("terms of an event deleted", sql("DELETE FROM term WHERE position = {p}"), "0", ("--deep", "3 TERM_INDEX")),
    ("terms all deleted", sql("DELETE FROM term"), "0", ("--deep", "3 TERM_INDEX")),
    ("terms added", sql("INSERT INTO term VALUES (0, 'sku:2', {noteless}), (0, 'sku:3', 999999999)"), "0", ("--deep", "3 TERM_INDEX")),
    ("stream.stream", sql("UPDATE stream SET stream = 'product/x' WHERE stream = 'product/sku-1' AND domain = 1"), "3 STREAM_INDEX"),
    ("stream.domain", sql("UPDATE stream SET domain = 77 WHERE stream = 'product/sku-1' AND domain = 1"), "3 STREAM_INDEX"),
    ("stream.version", sql("UPDATE stream SET version = version - 1 WHERE stream = 'product/sku-1' AND domain = 1"), "3 STREAM_INDEX"),
    ("stream.version ahead", sql("UPDATE stream SET version = version + 1 WHERE stream = 'product/sku-1' AND domain = 1"), "3 STREAM_INDEX"),
    ("stream.version a text", shaped("stream", "WITHOUT ROWID, STRICT", "WITHOUT ROWID", "UPDATE stream SET version = 'x' WHERE stream = 'product/sku-1'"), "3 STREAM_INDEX ..."),
    ("stream deleted", sql("DELETE FROM stream WHERE stream = 'product/sku-1'"), "3 STREAM_INDEX"),
    ("stream added", sql("INSERT INTO stream VALUES ('product/none', 1, 3)"), "3 STREAM_INDEX"),
    ("index of chains leads to another event", behind("event_chain", "UPDATE event SET position = -1 WHERE position = {end_inventory}; UPDATE event SET position = {end_inventory} WHERE position = {end_orders}; UPDATE event SET position = {end_orders} WHERE position = -1"), "3 ..."),
]

# Owners: what follows from the events of _ownership. The claim of sku-1 stands at `behind`.
SKU_1 = "WHERE stream = 'product/sku-1'"
OWNERS = [
    ("owners as they are", owned(sql("SELECT 1")), "0", ("--deep", "0")),
    *((f"owner.{column}", owned(sql(f"UPDATE owner SET {column} = {value} {SKU_1}")), "3 OWNER_MISMATCH") for column, value in (
        ("node", "'store-b'"), ("node", "'store b'"), ("node", "''"), ("state", "2"), ("state", "0"), ("state", "7"), ("next", "'store-b'"),
        ("expires", "1"), ("clock", "clock + 1"), ("line", "zeroblob(32)"), ("line", "x''"), ("hash", "zeroblob(32)"), ("moved", "1"), ("contested", "1"))),
    ("owner.stream", owned(sql(f"UPDATE owner SET stream = 'product/sku-3' {SKU_1}")), "3 OWNER_MISMATCH"),
    ("owner.domain", owned(sql(f"UPDATE owner SET domain = 'orders' {SKU_1}")), "3 OWNER_MISMATCH"),
    ("owner.node bytes", owned(shaped("owner", "WITHOUT ROWID, STRICT", "WITHOUT ROWID", f"UPDATE owner SET node = x'41' {SKU_1}")), "3 OWNER_MISMATCH ..."),
    ("ownership.clock a text", owned(shaped("ownership", "WITHOUT ROWID, STRICT", "WITHOUT ROWID", f"UPDATE ownership SET clock = 'x' {SKU_1}")), "3 OWNER_MISMATCH@behind ..."),
    ("an offer that nobody made taken away", owned(sql("UPDATE owner SET state = 1, next = NULL, expires = 0 WHERE stream = 'product/sku-2'")), "3 OWNER_MISMATCH"),
    ("owner deleted", owned(sql(f"DELETE FROM owner {SKU_1}")), "3 OWNER_MISMATCH"),
    ("owner added", owned(sql("INSERT INTO owner SELECT 'product/sku-3', domain, node, state, next, expires, clock, line, hash, moved, contested FROM owner " + SKU_1)), "3 OWNER_MISMATCH"),
    *((f"ownership.{column}", owned(sql(f"UPDATE ownership SET {column} = {value} {SKU_1}")), "3 OWNER_MISMATCH@behind OWNER_MISMATCH") for column, value in (
        ("clock", "clock + 1"), ("hash", "zeroblob(32)"), ("domain", "'orders'"), ("follows", "zeroblob(32)"), ("stream", "'product/x'"))),
    *((f"ownership.{column}", owned(sql(f"UPDATE ownership SET {column} = {value} {SKU_1}")), "3 OWNER_MISMATCH@behind ...") for column, value in (
        ("origin", "'store-b'"), ("epoch", "7"), ("sequence", "9"), ("kind", "2"), ("kind", "9"), ("next", "'store-b'"), ("expires", "7"), ("heads", "'[]'"))),
    ("ownership deleted", owned(sql(f"DELETE FROM ownership {SKU_1}")), "3 OWNER_MISMATCH@behind OWNER_MISMATCH"),
    ("ownership added", owned(sql("INSERT INTO ownership SELECT stream, domain, follows, 1, 'store-b', 1, 1, zeroblob(32), kind, next, expires, heads FROM ownership " + SKU_1)), "3 OWNER_MISMATCH"),
    ("both tables made to say the same", owned(sql(f"UPDATE ownership SET origin = 'store-b' {SKU_1}; UPDATE owner SET node = 'store-b' {SKU_1}")), "3 OWNER_MISMATCH@behind"),
    ("both tables emptied", owned(sql("DELETE FROM ownership; DELETE FROM owner")), "3 OWNER_MISMATCH@behind OWNER_MISMATCH@behind2 OWNER_MISMATCH@behind3"),
    ("the guards of ownership dropped", owned(openly("DROP TRIGGER ownership_no_update")), "3 SCHEMA_CHANGED"),
]

ROWS = COLUMNS + ORDER + KEYS + BRANCHES + HEARSAY + CURSORS + SCHEMA + FILES + UNSEEN + INDEXES + OWNERS
