"""owners - streams with owners in a storm: what nodes do with them, and what must hold afterwards.

Claims, transfers and commands are drawn as faults are. Who owned a stream when is derived here once more,
from the events alone, by the rule of ledgerbox-format(5), and not with the program's tables:

	- each event of an owned stream was recorded by a node that owned it by all that stood before in its
	  own ledger, and had not offered it;
	- in the end all nodes show the owners, and the contested claims, that the rule gives;
	- each command is there once at most; what was answered is there, what was refused is not, and what
	  is not known was said to be (31);
	- the state of each stream is the sum of what its events say.
"""
import hashlib
import json

from nodes import wait_for

DOMAIN = "inventory"
STREAMS = ["item/i%d" % i for i in range(4)]
CONFIG = """stream_types: {item: {domain: %s, owned: true}}
reducers:
  item: {initial: '{"sum":0}', apply: {"*": "json_set(:state, '$.sum', (:state->>'$.sum') + (:payload->>'$.n'))"}}
commands:
  - {stream_type: item, command: add, exec: [/usr/bin/jq, -c, "{type: \\"added\\", payload}"], timeout: 20s}
  - {stream_type: item, command: check, exec: [/usr/bin/jq, -c, "if .state == null then error(\\"none\\") else
     {type: \\"checked\\", payload} end"], state: true, timeout: 20s}
""" % DOMAIN
# Recorded; conflict; not the owner; put back unseen; busy; the disk is full; a twin goes on elsewhere.
MAY_SAY = {0, 1, 10, 11, 14, 20, 23, 24}
MAY_ANSWER = MAY_SAY | {21, 22, 31}
OPEN = {31}  # it may be executed
EVENTS = """SELECT e.position, e.clock, c.origin, c.epoch, d.name, e.sequence, e.stream, e.type, e.payload,
lower(hex(e.hash)), lower(hex(e.id)), e.version FROM event AS e JOIN chain AS c ON c.id = e.chain
JOIN domain AS d ON d.id = c.domain WHERE d.name = '_ownership' OR e.stream LIKE 'item/%'
ORDER BY e.position"""


# --- What nodes do

class Deeds:
    def __init__(self):
        self.commands = {}  # key to {"stream", "n", "codes", "async"}
        self.next = 1

    def check(self, done, may):
        if done.returncode not in may:
            raise AssertionError("%s says %d: %s" % (" ".join(done.args[1:]), done.returncode, done.stderr))
        return done


def own(storm, node, *words):
    return storm.deeds.check(node.run("own", *words, expect=None), MAY_SAY)


def claim(storm, random):
    node, stream = random.choice(storm.field.nodes), random.choice(STREAMS)
    if random.random() < 0.5:
        own(storm, node, "claim", stream)
    else:
        write(storm, node, stream, random, "--create")


def write(storm, node, stream, random, *words):
    done = storm.deeds.check(node.run("append", "-t", "added", "-s", stream, "--format", "json", *words,
                                      "n:=%d" % random.randrange(1000), expect=None), MAY_SAY)
    storm.must |= {json.loads(line)["hash"] for line in done.stdout.splitlines()}


def append_owned(storm, random):
    """Whoever it is: only the owner may."""
    stream = random.choice(STREAMS)
    for node in random.sample(storm.field.nodes, 3):
        write(storm, node, stream, random)


def offer(storm, random):
    stream = random.choice(STREAMS)
    for node in storm.field.nodes:
        other = random.choice([n for n in storm.field.nodes if n is not node])
        own(storm, node, "transfer", stream, other.name, "--ttl", random.choice(["1s", "5s", "1h", "1h"]))


def accept(storm, random):
    for stream in random.sample(STREAMS, 2):
        for node in storm.field.nodes:
            own(storm, node, "accept", stream)


def cancel(storm, random):
    own(storm, random.choice(storm.field.nodes), "cancel", random.choice(STREAMS))


def command(storm, random):
    """A new one, or one once more, perhaps from somewhere else."""
    deeds, node = storm.deeds, random.choice(storm.field.nodes)
    if deeds.commands and random.random() < 0.4:
        key = random.choice(sorted(deeds.commands))
    else:
        key = "%s-%d" % (node.name, deeds.next)
        deeds.next += 1
        deeds.commands[key] = {"stream": random.choice(STREAMS), "n": random.randrange(1000),
                               "name": random.choice(["add", "add", "check"]), "codes": []}
    c = deeds.commands[key]
    words = random.choice([["--timeout", "2s"], ["--timeout", "5s"], ["--async"]])
    done = deeds.check(node.run("send", "--format", "json", *words, "--once", key, c["stream"], c["name"],
                                "n:=%d" % c["n"], expect=None), MAY_ANSWER)
    code = done.returncode
    for line in done.stdout.splitlines():
        answer = json.loads(line)
        storm.must |= {event["hash"] for event in answer.get("events", [])}
        if answer.get("stored"):
            code = 31
    c["codes"].append(code)


NAMES = {f.__name__: f for f in (claim, append_owned, offer, accept, cancel, command)}
USUAL = [claim, append_owned, append_owned, offer, offer, accept, accept, accept, cancel] + [command] * 5


# --- The rule, once more

class Event:
    def __init__(self, row):
        (self.position, self.clock, self.origin, self.epoch, self.domain, self.sequence, self.stream,
         self.type, payload, self.hash, self.id, self.version) = row
        self.payload = json.loads(payload)
        self.order = (self.clock, self.origin, self.epoch, self.sequence, self.hash)


def owner_of(events):
    """(owner, next, accepted) by the ownership events of one stream."""
    claims = sorted((e for e in events if e.type == "claimed"), key=lambda e: e.order)
    if not claims:
        return None
    by_hash = {e.hash: e for e in events}
    last, owner = claims[0], claims[0].origin
    while True:
        offered = last.type == "offered"
        accepts = {e.hash for e in events if offered and e.type == "accepted" and e.clock > last.clock and
                   e.payload["follows"] == last.hash and e.origin == last.payload["to"]}
        kinds = {"cancelled": {last.hash} | accepts, "transferred": accepts} if offered else \
            {"offered": {last.hash}}
        following = [e for e in events if e.origin == owner and e.type in kinds and
                     e.payload["follows"] in kinds[e.type] and
                     e.clock > by_hash[e.payload["follows"]].clock and
                     (e.type != "transferred" or e.payload["to"] == last.payload["to"])]
        if not following:
            return owner, last.payload["to"] if offered else None, bool(accepts)
        last = min(following, key=lambda e: e.order)
        if last.type == "transferred":
            owner = last.payload["to"]


def events_of(node):
    return [Event(row) for row in node.query(EVENTS)]


def ownership(events):
    """stream to its ownership events."""
    streams = {stream: [] for stream in STREAMS}
    for e in events:
        if e.domain == "_ownership" and e.payload["domain"] == DOMAIN:
            streams[e.payload["stream"]].append(e)
    return streams


# --- What must hold

def check_writers(node):
    """What this ledger recorded itself, in the order in which it did: never without being the owner. Where
    it was put back, its older events came from others; the rest is of its present epoch."""
    epoch = node.epoch()
    streams = {stream: [] for stream in STREAMS}
    for e in events_of(node):
        if e.domain == "_ownership":
            streams[e.payload["stream"]].append(e)
        elif e.origin == node.name and e.epoch == epoch:
            owner = owner_of(streams[e.stream])
            if owner is None or owner[0] != node.name or owner[1]:
                raise AssertionError("%s wrote to %s at position %d, whose owner was %s" % (
                    node.name, e.stream, e.position, owner))


def check_turns(node):
    """By the clocks of each owner alone: its events lie in its turns, and each began when it held those of
    the turns before, so that versions neither repeat nor skip. Of streams that were never contested."""
    events = events_of(node)
    for stream, about in ownership(events).items():
        if len({e.origin for e in about if e.type == "claimed"}) > 1:
            continue
        turns = sorted((e for e in events if e.stream == stream and e.domain == DOMAIN), key=lambda e: e.order)
        for version, e in enumerate(turns, 1):
            if e.version != version:
                raise AssertionError("%s/%d is version %d of %s, not %d" % (
                    e.origin, e.sequence, e.version, stream, version))
            owner = owner_of([o for o in about if o.clock < e.clock])
            if owner is None or owner[0] != e.origin or owner[1]:
                raise AssertionError("%s/%d of %s stands where its owner was %s" % (
                    e.origin, e.sequence, stream, owner))


def shown(node, *words):
    out = node.run("own", *words, "--format", "json").stdout
    return [dict(json.loads(line), here=None) for line in out.splitlines()]


def is_settled(storm):
    """All show what the rule gives, and nobody owes a word: what was accepted is transferred."""
    storm.keep_running(storm.field.nodes)
    said = [(shown(n, "list"), shown(n, "conflicts")) for n in storm.field.nodes]
    if any(s != said[0] for s in said) or any(o["state"] == "accepted" for o in said[0][0]):
        return False
    if storm.is_forked():
        return True  # branches count too, and are not looked at here
    for stream, about in ownership(events_of(storm.field.nodes[0])).items():
        owner = owner_of(about)
        of_it = [o for o in said[0][0] if o["stream"] == stream]
        contested = [o for o in said[0][1] if o["stream"] == stream]
        if (owner is not None) != bool(of_it) or (of_it and owner[:2] != (
                of_it[0]["node"], of_it[0].get("next"))):
            return False
        if bool(contested) != (len({e.origin for e in about if e.type == "claimed"}) > 1):
            return False
    return True


def wait_until_settled(storm, patience):
    try:
        wait_for("the same owners", lambda: is_settled(storm), patience)
    except AssertionError as e:
        raise AssertionError("%s: %s, by the rule %s" % (e, [
            (n.name, shown(n, "list"), shown(n, "conflicts")) for n in storm.field.nodes], {
                s: owner_of(about) for s, about in ownership(events_of(storm.field.nodes[0])).items()})
        ) from e


def pae(*pieces):
    return len(pieces).to_bytes(8, "big") + b"".join(len(p).to_bytes(8, "big") + p for p in pieces)


def made_id(*pieces):
    digest = bytearray(hashlib.sha256(pae(*pieces)).digest()[:16])
    digest[6], digest[8] = 0x80 | digest[6] & 0x0f, 0x80 | digest[8] & 0x3f
    return bytes(digest)


def event_id(key, c):
    """Of the first event of a command, see ledgerbox-protocol(7)."""
    of_command = made_id(b"ledgerbox/command-once/v1", c["stream"].encode(), c["name"].encode(),
                         key.encode())
    return made_id(b"ledgerbox/command-event/v1", of_command, (1).to_bytes(8, "big")).hex()


def check_commands(storm, node):
    """`storm.rewound`: a ledger was put back, or is there twice; what was executed may be forgotten, and a
    stream that two nodes had claimed had two owners. Then only what was recorded can be counted."""
    events = events_of(node)
    contested = {s for s, about in ownership(events).items()
                 if len({e.origin for e in about if e.type == "claimed"}) > 1}
    for key, c in storm.deeds.commands.items():
        found = [e for e in events if e.id == event_id(key, c)]
        if any(e.stream != c["stream"] or e.payload != {"n": c["n"]} for e in found):
            raise AssertionError("command %s %s made other events: %s" % (key, c, found))
        if found and not {0, *OPEN} & set(c["codes"]):
            raise AssertionError("command %s was refused, and is executed: %s" % (key, c))
        if storm.rewound:
            continue
        if 0 in c["codes"] and not found:
            raise AssertionError("command %s was answered, and is not there: %s" % (key, c))
        if len(found) > 1 and c["stream"] not in contested:
            raise AssertionError("command %s was executed %d times: %s" % (key, len(found), c))


def check_sums(node):
    sums = {}
    for e in events_of(node):
        if e.domain == DOMAIN:
            sums[e.stream] = sums.get(e.stream, 0) + e.payload["n"]
    for stream, total in sums.items():
        said = json.loads(node.run("state", "-q", stream).stdout)
        if said != {"sum": total}:
            raise AssertionError("%s: %s is %s, its events come to %d" % (node.name, stream, said, total))


def check(storm):
    for node in storm.field.nodes:
        if not node.in_place and not storm.is_forked():
            check_writers(node)
        check_sums(node)
    node = storm.field.nodes[0]
    if not storm.rewound:
        check_turns(node)
    check_commands(storm, node)

