#!/usr/bin/env python3
"""vectors.py [FILE] - write the golden vectors of event format v1.

Writes FILE, or vectors.json beside this script. The same bytes on every run: nothing is random,
no clock is read. Written from the description of the format, ledgerbox-format(5), and not from
the C code, so that the two can be held against each other.
"""
import hashlib
import hmac
import json
import sys
from datetime import datetime, timedelta
from pathlib import Path

MAX = 2**53 - 1  # the largest integer of the format
NOW = 1763658000123456  # 2025-11-20T17:00:00.123456Z


# The format ------------------------------------------------------------------------------------

def piece(x):
    """One piece of a PAE: integers are 8 bytes big-endian, text is UTF-8, absent is empty."""
    if x is None:
        return b""
    if isinstance(x, int):
        return x.to_bytes(8, "big")
    return x.encode() if isinstance(x, str) else x


def pae(*pieces):
    """The number of pieces, then length and bytes of each."""
    out = len(pieces).to_bytes(8, "big")
    for p in map(piece, pieces):
        out += len(p).to_bytes(8, "big") + p
    return out


def sha256(data):
    return hashlib.sha256(data).digest()


def hmac256(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


def key_id(key):
    return "hs256-" + hmac256(key, b"ledgerbox/keyid/v1")[:8].hex()


def genesis_pae(origin, epoch, domain):
    return pae("ledgerbox/genesis/v1", origin, epoch, domain)


def body_pae(e):
    return pae("ledgerbox/body/v1", e["salt"], e["payload"], e["metadata"])


def event_pae(e):
    """Wants key (the id), prev and body filled in."""
    kind, _, name = (e["stream"] or "").partition("/")
    return pae("ledgerbox/event/v1", e["key"], e["origin"], e["epoch"], e["domain"],
               e["sequence"], e["prev"], e["id"], e["clock"], e["time"], kind, name, e["version"],
               e["type"], e["schema"], pae(*e["tags"]), e["body"])


def event_mac(key, digest):
    return hmac256(key, b"ledgerbox/mac/v1\0" + digest)


def seal_pae(s):
    return pae(s["node"], s["epoch"], s["position"], s["clock"], s["link"], s["inode"], s["birth"])


def seal_mac(key, s):
    return hmac256(key, b"ledgerbox/seal/v1\0" + seal_pae(s))


def link_next(link, digest):
    return sha256(link + digest)


def once_id(domain, key):
    """A UUID of version 8 (RFC 9562) for one domain and one key of the caller."""
    raw = bytearray(sha256(pae("ledgerbox/once/v1", domain, key))[:16])
    raw[6] = raw[6] & 0x0F | 0x80
    raw[8] = raw[8] & 0x3F | 0x80
    return bytes(raw)


def sign(e, key):
    """Fill in key, prev (where it is the genesis), body, hash and mac."""
    e["key"] = key_id(key)
    if e["sequence"] == 1:
        e["prev"] = sha256(genesis_pae(e["origin"], e["epoch"], e["domain"]))
    e["body"] = sha256(body_pae(e))
    e["hash"] = sha256(event_pae(e))
    e["mac"] = event_mac(key, e["hash"])
    return e


# The event line --------------------------------------------------------------------------------

def uuid_text(raw):
    h = raw.hex()
    return "-".join((h[:8], h[8:12], h[12:16], h[16:20], h[20:]))


def time_text(us):
    t = datetime(1970, 1, 1) + timedelta(microseconds=us)
    return t.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def quote(text):
    return json.dumps(text, ensure_ascii=False)


def event_line(e):
    """Absent members are left out. The version counts a stream: without one it is absent too."""
    members = [("v", "1"), ("id", quote(uuid_text(e["id"]))), ("origin", quote(e["origin"])),
               ("epoch", str(e["epoch"])), ("domain", quote(e["domain"])),
               ("sequence", str(e["sequence"]))]
    if e["stream"] is not None:
        members += [("stream", quote(e["stream"])), ("version", str(e["version"]))]
    members += [("type", quote(e["type"])), ("schema", str(e["schema"])),
                ("clock", quote(time_text(e["clock"]))), ("time", quote(time_text(e["time"])))]
    if e["tags"]:
        members.append(("tags", "[" + ",".join(map(quote, e["tags"])) + "]"))
    members.append(("payload", e["payload"]))
    if e["metadata"] is not None:
        members.append(("metadata", e["metadata"]))
    for name in "salt", "prev", "hash":
        members.append((name, quote(e[name].hex())))
    members += [("key", quote(e["key"])), ("mac", quote(e["mac"].hex()))]
    return "{" + ",".join(f'"{name}":{value}' for name, value in members) + "}"


# Test values -----------------------------------------------------------------------------------

def draw(label, n=32):
    """Up to 32 bytes that look random and are the same each time."""
    return sha256(b"golden/" + label.encode())[:n]


def uuid7(us, label):
    """A UUIDv7 (RFC 9562): milliseconds, then bits from draw."""
    raw = bytearray((us // 1000).to_bytes(6, "big") + draw("uuid/" + label, 10))
    raw[6] = raw[6] & 0x0F | 0x70
    raw[8] = raw[8] & 0x3F | 0x80
    return bytes(raw)


SECRETS = {
    "a": draw("key/a"),
    "b": draw("key/b"),
    "zeros": bytes(32),
    "ones": b"\xff" * 32,
}

# name of the vector, then what differs from the plain event in make_event
CASES = [
    ("plain", {}),
    ("no stream, version 0", dict(stream=None)),
    ("no tags", dict(tags=[])),
    ("no metadata", dict(metadata=None)),
    ("no stream, tags or metadata", dict(stream=None, tags=[], metadata=None)),
    # tags are bytewise sorted: here, too, where code points and UTF-16 units sort differently
    ("two tags", dict(tags=["order:17", "product:sku-1"])),
    ("tags sorted as bytes", dict(tags=["A:1", "a:1", "a:10", "a:2", "a:B", "a:b"])),
    ("tags sorted as bytes beyond ASCII", dict(tags=["t:z", "t:é", "t:\ufffd", "t:😀"])),
    ("tag values with : / \" and backslash",
     dict(tags=['path:C:\\x', 'q:"', "url:http://h/p?q=1"])),
    ("32 tags", dict(tags=[f"n:{i:02}" for i in range(32)])),
    ("longest tag", dict(tags=["t" * 64 + ":" + "v" * 191])),
    # streams and tokens
    ("stream key with slashes", dict(stream="file/../../etc/passwd")),
    ("stream key of one slash", dict(stream="file//")),
    ("stream key with spaces", dict(stream="person/ Ada  Lovelace ")),
    ("stream key with quote and backslash", dict(stream='file/a"b\\c')),
    ("stream key in UTF-8", dict(stream="product/日本語-é-😀")),
    ("composed é is kept", dict(stream="product/caf\u00e9")),
    ("decomposed é is kept", dict(stream="product/cafe\u0301")),
    ("shortest stream", dict(stream="p/k")),
    ("longest stream", dict(stream="P" * 64 + "/" + "k" * 256)),
    ("shortest tokens", dict(origin="a", domain="d", type="t")),
    ("longest tokens", dict(origin="O" * 64, domain="d" * 64, type="t" * 128)),
    ("every kind of character in tokens",
     dict(origin="Store_A-1", domain="_ledger", type="a.b:c-d_E")),
    ("moved byte, left", dict(domain="ab", type="c", stream="s/tu")),
    ("moved byte, right", dict(domain="a", type="bc", stream="st/u")),
    # payloads: the bytes are kept as they came
    ("payload null", dict(payload="null")),
    ("payload true", dict(payload="true")),
    ("payload false", dict(payload="false")),
    ("payload 0", dict(payload="0")),
    ("payload -0.0", dict(payload="-0.0")),
    ("payload 1e9999", dict(payload="1e9999")),
    ("payload 1E+2", dict(payload="1E+2")),
    ("payload with many digits", dict(payload="3.1415926535897932384626433832795028841971")),
    ("payload beyond 64 bits", dict(payload="18446744073709551617")),
    ("payload empty string", dict(payload='""')),
    ("payload empty object", dict(payload="{}")),
    ("payload empty array", dict(payload="[]")),
    ("payload with every short escape", dict(payload=r'"\"\\\/\b\f\n\r\t"')),
    ("payload with \\u escapes", dict(payload=r'"\u0000\u001f\u00E9\u00e9\ud83d\ude00\u2028"')),
    ("payload in raw UTF-8", dict(payload='"é 日本語 😀 \u2028 \u007f"')),
    ("payload object with inner spaces", dict(payload='{ "b" : [ 1 ,\t2 ] , "a" : { } }')),
    ("payload where line breaks were", dict(payload='{  "a": 1,    "b": 2  }')),
    ("payload keys in any order", dict(payload='{"z":1,"a":2,"é":3,"":4}')),
    ("payload of 64 levels", dict(payload="[" * 64 + "]" * 64)),
    ("payload of 1 KiB", dict(payload='{"text":"' + "x" * (1024 - 11) + '"}')),
    # metadata
    ("metadata empty object", dict(metadata="{}")),
    ("metadata with inner spaces", dict(metadata='{ "actor" : "ada" , "n" : 1.0 }')),
    ("metadata with escapes", dict(metadata=r'{"correlation_id":"caf\u00e9\/1","x":"\"\\"}')),
    ("payload and metadata alike", dict(payload="{}", metadata="{}")),
    # numbers
    ("epoch, clock and time 0", dict(epoch=0, clock=0, time=0)),
    ("epoch, clock and time 1", dict(epoch=1, clock=1, time=1)),
    ("epoch, clock and time 2^53-2", dict(epoch=MAX - 1, clock=MAX - 1, time=MAX - 1)),
    ("epoch, clock and time 2^53-1", dict(epoch=MAX, clock=MAX, time=MAX)),
    ("time long before clock", dict(clock=NOW, time=999999)),
    ("leap day", dict(clock=1709251199999999, time=1709164800000000)),
    ("sequence 1", dict(sequence=1)),
    ("sequence 1 at epoch 0", dict(sequence=1, epoch=0, origin="a", domain="_")),
    ("sequence 256", dict(sequence=256)),
    ("sequence and version 2^53-1", dict(sequence=MAX, version=MAX)),
    ("version 1, schema 2", dict(version=1, schema=2)),
    ("schema 2^31-1", dict(schema=2**31 - 1)),
    # bytes
    ("id of version 4", dict(id=bytes.fromhex("f81d4fae7dec41d0a76500a0c91e6bf6"))),
    ("id of version 8, from --once", dict(id=once_id("inventory", "order-17"))),
    ("id all zeros", dict(id=bytes(16))),
    ("id all ones", dict(id=b"\xff" * 16)),
    ("salt all zeros", dict(salt=bytes(16))),
    ("salt all ones", dict(salt=b"\xff" * 16)),
    ("key b", dict(secret="b")),
    ("key all zeros", dict(secret="zeros")),
    ("key all ones", dict(secret="ones")),
]


def make_event(name, secret="a", **given):
    """A vector: the plain event, with what is given changed, signed."""
    e = dict(id=uuid7(NOW, name), origin="store-a", epoch=1763650000000000, domain="inventory",
             sequence=42, stream="product/sku-1", version=3, type="stock_adjusted", schema=1,
             clock=NOW, time=NOW - 2123456, tags=["product:sku-1"], payload='{"delta":-2}',
             metadata='{"correlation_id":"order-17","actor":"ada"}', salt=draw("salt/" + name, 16),
             prev=draw("prev/" + name))
    e.update(given)
    if e["stream"] is None:
        e["version"] = 0
    return dict(name=name, secret=SECRETS[secret], **sign(e, SECRETS[secret]))


def make_chain():
    """Five events that follow each other, the last two signed by another key."""
    events = []
    for i, secret in enumerate("aaabb"):
        prev = events[-1]["hash"] if events else None
        events.append(make_event(f"chain, event {i + 1}", secret, domain="orders", sequence=i + 1,
                                 version=i + 1, prev=prev, clock=NOW + i, time=NOW - i))
    return events


def event_vector(e):
    """As it stands in the file: bytes as hex, the id as text, what is absent left out."""
    out = dict(e, id=uuid_text(e["id"]), pae_body=body_pae(e), pae_event=event_pae(e),
               line=event_line(e))
    return {k: v for k, v in out.items() if v is not None}


def pae_vectors():
    cases = [[], [b""], [b"", b""], [b"a"], [b"a", b"b"], [b"ab", b""], [b"", b"ab"], [b"\0"],
             [pae()], [pae(b"a", b"b")], ["é".encode(), b"x" * 256],
             [piece(0), piece(1), piece(MAX)]]
    return [dict(pieces=[p.hex() for p in c], pae=pae(*c)) for c in cases]


def genesis_vectors():
    cases = [("store-a", NOW, "inventory"), ("store-a", NOW, "_ledger"), ("store-a", 0, "d"),
             ("store", NOW, "-ainventory"), ("Z" * 64, MAX, "_" * 64)]
    return [dict(origin=o, epoch=e, domain=d, pae=genesis_pae(o, e, d),
                 prev=sha256(genesis_pae(o, e, d))) for o, e, d in cases]


def link_vectors():
    """link(n) over hashes 1 … n; the first row is link(0)."""
    rows = [dict(n=0, link=bytes(32))]
    for n, digest in enumerate([bytes(32), b"\xff" * 32, draw("l3"), draw("l4"), draw("l4")], 1):
        rows.append(dict(n=n, hash=digest, link=link_next(rows[-1]["link"], digest)))
    return rows


def once_vectors():
    cases = [("inventory", "order-17"), ("inventory", "order-18"), ("orders", "order-17"),
             ("inventoryorder", "-17"), ("d", "é 日本語 😀"), ("d", "k" * 1000)]
    return [dict(domain=d, once=k, id=uuid_text(once_id(d, k))) for d, k in cases]


def seal_vectors():
    plain = dict(node="store-a", epoch=NOW, position=42, clock=NOW + 5, link=draw("seal"),
                 inode=1234567, birth=NOW - 9)
    empty = dict(plain, position=0, clock=0, link=bytes(32))
    homeless = dict(plain, inode=0, birth=0)
    largest = dict(plain, node="N" * 64, epoch=MAX, position=MAX, clock=MAX, inode=MAX,
                   birth=MAX)
    cases = [(plain, "a"), (plain, "b"), (empty, "a"), (homeless, "a"), (largest, "zeros")]
    return [dict(s, secret=SECRETS[k], key=key_id(SECRETS[k]), pae=seal_pae(s),
                 mac=seal_mac(SECRETS[k], s)) for s, k in cases]


def main():
    vectors = {
        "pae": pae_vectors(),
        "key_id": [dict(secret=s, key=key_id(s)) for s in SECRETS.values()],
        "genesis": genesis_vectors(),
        "link": link_vectors(),
        "once": once_vectors(),
        "seal": seal_vectors(),
        "event": [event_vector(e) for e in
                  make_chain() + [make_event(name, **given) for name, given in CASES]],
    }
    # one vector on a line, so that a difference can be seen
    groups = []
    for name, rows in vectors.items():
        lines = [json.dumps(r, ensure_ascii=False, default=bytes.hex) for r in rows]
        groups.append(f'"{name}": [\n' + ",\n".join(lines) + "\n]")
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("vectors.json")
    file.write_text("{\n" + ",\n".join(groups) + "\n}\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
