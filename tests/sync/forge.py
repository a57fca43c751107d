"""forge - messages that no node has sent: what somebody makes who got into a server.

Those without the key can change, repeat and make up; what they make must end in quarantine. Lines are
built as ledgerbox-format(5) says it, with the code of tests/golden.
"""
import hashlib
import hmac
import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "golden"))
import vectors  # noqa: E402  pylint: disable=wrong-import-position

HEX_FIELDS = ("salt", "prev", "hash", "mac")
EPOCH = vectors.datetime(1970, 1, 1)


def read_line(line):
    """An event line as the members that vectors.event_line writes."""
    e = {"stream": None, "version": 0, "tags": [], "metadata": None}
    e.update(json.loads(line))
    for name in HEX_FIELDS:
        e[name] = bytes.fromhex(e[name])
    for name in ("clock", "time"):
        moment = vectors.datetime.strptime(e[name], "%Y-%m-%dT%H:%M:%S.%fZ") - EPOCH
        e[name] = moment // vectors.timedelta(microseconds=1)
    e["id"] = bytes.fromhex(e["id"].replace("-", ""))
    e["payload"] = json.dumps(e["payload"], separators=(",", ":"))
    if e["metadata"] is not None:
        e["metadata"] = json.dumps(e["metadata"], separators=(",", ":"))
    return e


def write_line(e):
    return vectors.event_line(e).encode()


def sign_as(e, key, **changes):
    """The event with changes, hashed and signed with a key."""
    changed = dict(e, **changes)
    prev = changed["prev"]
    vectors.sign(changed, key)
    if "prev" in changes:
        changed["prev"] = prev
        changed["body"] = vectors.sha256(vectors.body_pae(changed))
        changed["hash"] = vectors.sha256(vectors.event_pae(changed))
        changed["mac"] = vectors.event_mac(key, changed["hash"])
    return changed


def flip(data, random):
    """One bit of it is another; never one that makes or takes a line's end."""
    out = bytearray(data)
    while True:
        i, bit = random.randrange(len(out)), 1 << random.randrange(8)
        if out[i] != 10 and out[i] ^ bit != 10:
            out[i] ^= bit
            return bytes(out)


def bad_lines(line, random):
    """(what, line) made of a good one without its key; a stranger's key signs some of them."""
    e = read_line(line)
    strange = random.randbytes(32)
    unsigned = dict(sign_as(e, strange, payload='{"n":-%d}' % random.randrange(1 << 30)), key=e["key"])
    other = "z%d" % random.randrange(1 << 30)
    return [
        ("nonsense", b"nonsense %d" % random.randrange(1 << 30)),
        ("binary", b"\x00\xff" + random.randbytes(50).replace(b"\n", b"")),
        ("huge", random.randbytes(1).hex().encode() * (450 << 10)),
        ("not an object", b"[%d]" % random.randrange(1 << 30)),
        ("forged MAC", write_line(dict(e, mac=random.randbytes(32)))),
        ("forged hash", write_line(dict(e, hash=random.randbytes(32)))),
        ("another payload", write_line(dict(e, payload='{"n":-%d}' % random.randrange(1 << 30)))),
        ("a transfer that nobody recorded", write_line(stolen(e, strange))),
        ("a known id signed by a stranger", write_line(rehash(unsigned, e["key"], strange))),
        ("a wrong chain", write_line(dict(e, epoch=e["epoch"] + random.randrange(1, 99)))),
        ("a wrong place", write_line(dict(e, sequence=e["sequence"] + random.randrange(1, 1 << 20)))),
        ("a foreign origin", write_line(dict(e, origin=other))),
        ("a foreign domain", write_line(dict(e, domain=other))),
        ("a flipped bit", flip(line.encode(), random)),
    ]


def stolen(e, key):
    """Of a stream that e tells of: from here on it is z's."""
    said = json.loads(e["payload"])
    payload = {"domain": "inventory", "stream": said.get("stream", "item/i0"), "follows": e["hash"].hex(),
               "to": "z", "heads": []}
    return dict(sign_as(e, key, type="transferred", payload=json.dumps(payload)), key=e["key"])


def rehash(e, key_id, key):
    """The hash is right, and under the name of a key that is known; the MAC cannot be."""
    e = dict(e, key=key_id)
    e["body"] = vectors.sha256(vectors.body_pae(e))
    e["hash"] = vectors.sha256(vectors.event_pae(e))
    e["mac"] = vectors.event_mac(key, e["hash"])
    return e


# --- Heads ----------------------------------------------------------------------------------------

def heads(key, node, epoch, said, counter=None, boot=1, **more):
    """A statement of heads, signed as ledgerbox-protocol(7) says it."""
    words = json.dumps({"v": 1, "node": node, "epoch": epoch,
                        "counter": counter or int(time.time() * 1e6), "boot": boot, **more,
                        "heads": said}, separators=(",", ":")).encode()
    return sign_words(key, b"ledgerbox/heads/v1", words)


def ask(key, node):
    """The question for statements of heads."""
    words = json.dumps({"v": 1, "node": node, "ask": "heads", "time": int(time.time() * 1e6)},
                       separators=(",", ":")).encode()
    return sign_words(key, b"ledgerbox/ask/v1", words)


def sign_words(key, label, words):
    mac = hmac.new(key, label + b"\0" + words, hashlib.sha256).hexdigest()
    return words + b'\n{"key":"%s","mac":"%s"}\n' % (vectors.key_id(key).encode(), mac.encode())
