#!/usr/bin/env python3
"""verify.py LEDGER [KEYFILE ...] - verify a ledger with nothing of ledgerbox.

Reads the SQLite file and recomputes, in the order of the positions: the body and hash of each
event, its place in its chain (sequence, prev, a clock that grows), its MAC, the link over all
events, the marks, the terms and streams, and last the seal. Not looked at: cursors, the guards
(triggers), the SQLite file format, and whether the file is a copy.

One line per problem, then one line in sum. Exit: 0 verified, 3 damaged, 13 not a ledger of
version 1, 15 could not verify all (a key is missing), 23 could not finish.
"""
import hashlib, hmac, json, sqlite3, sys
from pathlib import Path

EVENTS = """SELECT position, origin, epoch, domain.name AS domain, sequence, event.id, stream,
       version, type, schema, clock, time, tags, signing_key.name AS key, salt, prev, hash, mac,
       body, metadata, payload, event.domain = chain.domain AS same_domain
FROM event LEFT JOIN chain ON chain.id = event.chain LEFT JOIN domain ON domain.id = chain.domain
       LEFT JOIN signing_key ON signing_key.id = event.signing_key
ORDER BY position"""
MARKS = "SELECT position, link, min_time, max_time FROM mark"
STREAMS = "SELECT stream, name, version FROM stream LEFT JOIN domain ON domain.id = stream.domain"

def u64(n):  # 8 bytes big-endian
    return n.to_bytes(8, "big", signed=True)

def pae(*pieces):  # the number of pieces, then length and bytes of each; absent is empty
    pieces = [u64(p) if isinstance(p, int) else p or b"" for p in pieces]
    return u64(len(pieces)) + b"".join(u64(len(p)) + p for p in pieces)

def sha256(data):
    return hashlib.sha256(data).digest()

def hmac256(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()

def key_id(key):
    return b"hs256-" + hmac256(key, b"ledgerbox/keyid/v1")[:8].hex().encode()

def event_hash(e):
    kind, _, name = (e["stream"] or b"").partition(b"/")
    tags = e["tags"].split(b" ") if e["tags"] is not None else []
    body = sha256(pae(b"ledgerbox/body/v1", e["salt"], e["payload"], e["metadata"]))
    return sha256(pae(b"ledgerbox/event/v1", e["key"], e["origin"], e["epoch"], e["domain"],
                      e["sequence"], e["prev"], e["id"], e["clock"], e["time"], kind, name,
                      e["version"], e["type"], e["schema"], pae(*tags), body))

def terms_of(e):  # what the table term holds of this event
    words = (e["tags"] or b"").split(b" ") + [e["stream"]]
    found = {(e["position"] // 32768, word, e["position"]) for word in words if word}
    try:
        text = json.loads(e["metadata"] or b"{}").get("correlation_id")
        if isinstance(text, str) and 1 <= len(text.encode()) <= 191:
            found.add((e["position"] // 32768, b"@correlation:" + text.encode(), e["position"]))
    except (ValueError, AttributeError, RecursionError):
        pass  # not an object of JSON: then the hash is wrong too
    return found

def event_problems(e, expected, head):
    """What is wrong with one event; head is (sequence, hash, clock) of the one before."""
    if e["position"] != expected:
        yield f"position {expected} is missing"
    if e["sequence"] != head[0] + 1:
        yield f"sequence {e['sequence']} follows {head[0]}"
    if e["prev"] != head[1]:
        yield "prev is not the hash of the event before it in its chain"
    if e["clock"] <= head[2]:
        yield "the clock does not grow along the chain"
    if e["hash"] != event_hash(e):
        yield "the hash is not that of the event"
    # Absent and empty hash alike, and the next two are not hashed: only one form is right.
    if e["stream"] in (b"", b"/") or e["metadata"] == b"":
        yield "an empty stream or metadata, where absent is meant"
    if e["body"] is not None or not e["same_domain"]:
        yield "a body beside its payload, or another domain than its chain"

def verify(db, keys):
    """Returns problems, what could not be checked, and the sum in words."""
    problems, unchecked, heads, marks, terms, streams = [], [], {}, {}, set(), {}
    link, count, last, clock, times = bytes(32), 0, 0, 0, []
    def check_mac(where, name, message, mac):
        if name not in keys:
            unchecked.append(f"{where}: the MAC was not checked, there is no key {ascii(name)}")
        elif not hmac.compare_digest(hmac256(keys[name], message), mac):
            problems.append(f"{where}: the MAC is wrong")
    for e in db.execute(EVENTS):
        where, chain = f"position {e['position']}", (e["origin"], e["epoch"], e["domain"])
        head = heads.get(chain, (0, sha256(pae(b"ledgerbox/genesis/v1", *chain)), -1))
        problems += [f"{where}: {p}" for p in event_problems(e, last + 1, head)]
        check_mac(where, e["key"], b"ledgerbox/mac/v1\0" + e["hash"], e["mac"])
        heads[chain] = e["sequence"], e["hash"], e["clock"]
        link, last, clock = sha256(link + e["hash"]), e["position"], max(clock, e["clock"])
        count += 1
        terms |= terms_of(e)
        if e["stream"] is not None:
            stream = (e["stream"], e["domain"])
            streams[stream] = max(e["version"], streams.get(stream, 0))
        times.append(e["time"])
        if last % 1024 == 0:
            marks[last], times = (link, min(times), max(times)), []
    if marks != {m[0]: tuple(m)[1:] for m in db.execute(MARKS)}:
        problems.append("mark: not the links and times of the events")
    if terms != set(map(tuple, db.execute("SELECT block, term, position FROM term"))):
        problems.append("term: not the streams, tags and correlation ids of the events")
    if streams != {(r[0], r[1]): r[2] for r in db.execute(STREAMS)}:
        problems.append("stream: not the highest versions of the events")
    s = db.execute("SELECT * FROM seal").fetchone()
    if s is None or (s["position"], s["clock"], s["link"]) != (last, clock, link):
        problems.append("seal: not the last position, highest clock and link of the events")
    if s is not None:
        check_mac("seal", s["signing_key"], b"ledgerbox/seal/v1\0" + pae(
            s["node"], s["epoch"], s["position"], s["clock"], s["link"], s["inode"], s["birth"]),
            s["mac"])
    return problems, unchecked, f"{count} events, {len(heads)} chains, head link {link.hex()}"

def main(path, *key_files):
    secrets = [bytes.fromhex(Path(f).read_text()) for f in key_files]
    db = sqlite3.connect(Path(path).resolve().as_uri() + "?mode=ro", uri=True, isolation_level=None)
    db.row_factory, db.text_factory = sqlite3.Row, bytes  # text as the bytes that were hashed
    db.execute("BEGIN")  # one snapshot, whoever writes meanwhile
    if [db.execute("PRAGMA " + p).fetchone()[0] for p in ("application_id", "user_version")] \
            != [0x4C424F58, 1]:
        print("not a ledger of version 1")
        return 13
    problems, unchecked, total = verify(db, {key_id(k): k for k in secrets})
    for line in problems + (unchecked if secrets else []):
        print(line)
    if problems:
        print(f"damaged: {len(problems)} problems in {total}")
        return 3
    if not secrets:
        print(f"verified {total}, hashes only: no key was given, no MAC was checked")
    elif unchecked:
        print(f"verified {total}, but for {len(unchecked)} MACs: their keys were not given")
    else:
        print(f"verified {total}")
    return 15 if unchecked else 0

if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(print(__doc__, file=sys.stderr) or 2)
    try:
        sys.exit(main(*sys.argv[1:]))
    except (sqlite3.Error, OSError, ValueError) as error:
        print(f"could not finish: {error}")
        sys.exit(23)
