"""The tamper matrix: what rows.py lists is done to a ledger, row by row, and each command says what it has to.

Each row begins with the whole ledger, in the same file (the same inode: the ledger stays at home) and with
its state folder. `verify` has to end with the exit code of the row and to list just the problems of the row;
`verify --deep` too where a row says so. Readers and `append` have to end by themselves and quietly; where
`append` records all the same, the ledger has to show its damage afterwards.
"""
import json
import random
import re
import shutil
import subprocess
from pathlib import Path
from attacker import opened, write_over
from campaign import Campaign

QUIET = {0, 1, 2, 3, 10, 12, 13, 14, 15, 20, 23}  # what a command may say of a file that is not as it was
LIMIT = 60  # seconds for a command that takes milliseconds, on a machine that is busy with other things
READERS = 7  # other commands that are tried on each row
TAIL = 40  # events of the second epoch
OLDER = 15  # events recorded after the older copy was taken


class Ledger(Campaign):
    """A ledger of three domains in two epochs, kept whole beside; an older copy of it; another ledger."""

    def __init__(self, name, events, program=None):
        super().__init__(name, program)
        self.db = self.folder / "ledger.db"
        self.key = bytes.fromhex((self.folder / "ledger.key").read_text())
        self.fill(events)
        self.make_fork()
        self.expect(0, "recover", "--offline", "--force", "-q")
        self.fill(TAIL - OLDER)
        self.expect(0, "verify", "-q")
        self.older, self.older_state = self.settled(), self.kept_state("older")
        self.fill(OLDER)
        self.expect(0, "cursor", "set", "mail", "7")
        self.expect(0, "cursor", "set", "stock", str(events + 9))
        self.expect(0, "verify", "-q")
        (self.folder / "heads").write_bytes(self.expect(0, "status", "--heads"))
        self.whole, self.whole_state = self.settled(), self.kept_state("whole")
        self.wanted = self.expect(0, "tail", "-n", "all", "--format", "json")
        self.events = [json.loads(line) for line in self.wanted.splitlines()]
        self.make_other()

    def fill(self, n):
        """Domain by turns, so that no two neighbours are of one chain; every third without stream and tags."""
        lines = []
        for i in range(n):
            event = {"domain": ("inventory", "orders", "notes")[i % 3], "type": f"t{i % 5}", "payload": {"n": i, "pad": "x" * (i % 40)}}
            if i % 3 < 2:
                event |= {"stream": f"product/sku-{i % 7}", "tags": [f"sku:{i % 7}", f"shelf:{i % 4}"],
                    "metadata": {"correlation_id": f"c{i % 11}", "actor": "ann"}}
            lines.append(json.dumps(event))
        self.expect(0, "append", "-q", stdin="\n".join(lines).encode())

    def make_fork(self):
        """Another node's chain, forked: it was put back after one event. Somebody has decided about it."""
        folder = self.work / "b"
        folder.mkdir()
        (folder / "ledger.key").write_text((self.folder / "ledger.key").read_text())
        (folder / "ledger.key").chmod(0o600)

        def run(*words, n=0):
            lines = "".join('{"domain":"inventory","type":"t0","stream":"product/b","payload":{"b":%d}}\n' % i for i in range(n))
            return subprocess.run([self.program, *words], cwd=folder, env={**self.environment, "XDG_STATE_HOME": str(folder / "state")},
                input=lines.encode(), check=True, timeout=LIMIT, stdout=subprocess.PIPE).stdout

        def sent():
            return b"".join(re.sub(rb'"position":\d+,', b"", line) for line in run("tail", "-n", "all", "--format", "json").splitlines(True))
        run("init", "--node", "store-b", "--key-file", "ledger.key", "-q")
        run("append", "-q", n=1)
        with opened(folder / "ledger.db"):
            pass
        older = (folder / "ledger.db").read_bytes()
        run("append", "-q", n=2)
        lines = sent()
        for suffix in "-wal", "-shm":
            (folder / f"ledger.db{suffix}").unlink(missing_ok=True)
        write_over(folder / "ledger.db", older)
        shutil.rmtree(folder / "state")
        run("append", "-q", n=3)
        offer = Path(self.program).resolve().parents[1] / "tests/offer"
        subprocess.run([offer, self.db, self.folder / "ledger.key", "peer store-b"], input=lines + sent(), check=True,
            timeout=LIMIT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        (fork,) = json.loads(self.expect(3, "verify", "--format", "json"))["problems"]
        if fork["code"] != "FORK":
            raise SystemExit(f"no fork: {fork}")
        branch = self.expect(0, "fork", "list", "--format", "json")
        self.expect(0, "fork", "settle", json.loads(branch)["branch"], "--reason", "put back")

    def settled(self):
        with opened(self.db):
            pass
        return self.db.read_bytes()

    def kept_state(self, name):
        return shutil.copytree(self.state, self.work / f"state.{name}")

    def make_other(self):
        """Another ledger of that name, with another key."""
        other = self.work / "other"
        other.mkdir()
        for words in (["init", "--node", "store-a", "-q"], ["append", "-q"]):
            lines = "".join('{"domain":"inventory","type":"t0","stream":"product/sku-1","payload":{"m":%d}}\n' % i for i in range(50))
            subprocess.run([self.program, *words], cwd=other, env={**self.environment, "XDG_STATE_HOME": str(self.work / "other.state")},
                input=lines.encode() if words[0] == "append" else b"", check=True, timeout=LIMIT)
        self.other = other / "ledger.db"
        self.other_wal = (other / "ledger.db-wal").read_bytes()
        with opened(self.other):
            pass
        self.other_key = bytes.fromhex((other / "ledger.key").read_text())

    def put(self, content, state):
        write_over(self.db, content)
        for suffix in "-wal", "-shm":
            (self.folder / f"ledger.db{suffix}").unlink(missing_ok=True)
        self.use_state(state)

    def use_state(self, state):
        shutil.rmtree(self.state, ignore_errors=True)
        if state:
            shutil.copytree(state, self.state)

    def put_back(self):
        """The whole ledger, in the same file; what a row has made beside it goes."""
        kept = self.folder / "ledger.kept"
        if kept.exists():
            kept.replace(self.db)
        for path in self.folder.iterdir():
            if path.name not in ("ledger.db", "ledger.yaml", "ledger.key", "heads"):
                path.unlink()
        self.put(self.whole, self.whole_state)

    def choose(self, dice):
        """Places for a row, by name."""
        old = [e for e in self.events if e["epoch"] == self.events[0]["epoch"]]
        chain = [e for e in old if e["domain"] == "inventory"]
        n = dice.randrange(10, 330)
        p, q = chain[n], dice.choice([e for e in old[10:1000] if e["domain"] == "orders"])
        begins = {(e["origin"], e["epoch"], e["domain"]): e["position"] for e in self.events if e["sequence"] == 1}
        ends = {f"end_{e['domain']}": e["position"] for e in self.events if e["origin"] == "store-a"}
        return {
            **ends,
            "p": p["position"],  # an event with all there is, of the first chain, before the mark
            "next": chain[n + 1]["position"],  # the next ones of its chain
            "next2": chain[n + 2]["position"],
            "same": next(e["position"] for e in chain[n + 1:] if e["stream"] == p["stream"]),  # and of its stream
            "q": q["position"],  # one of another chain
            "noteless": dice.choice([e for e in old if e["domain"] == "notes"])["position"],  # no stream, no tags
            "first": 1,
            "second": chain[1]["position"],
            "mark": 1024,
            "last": len(self.events),
            "behind": len(self.events) + 1,
            "behind2": len(self.events) + 2,
            "behind3": len(self.events) + 3,
            "byte": next(e["position"] for e in old if e["payload"].get("n") == 600),
            "newest": max(begins.values()),  # the newest chain's first
            "newest_chain": len(begins),  # and its row
            "p_id": p["id"],
            "r16": dice.randbytes(16).hex(),
            "r32": dice.randbytes(32).hex(),
        }


class Row:
    """One row in hand: the ledger, the dice, the places."""

    def __init__(self, ledger, row, round_):
        self.ledger, self.db, self.name, self.row = ledger, ledger.db, row[0], row
        self.dice = random.Random(f"{ledger.seed}/{row[0]}/{round_}")
        self.places = ledger.choose(self.dice)
        self.wrong = []
        self.options = []  # of every command
        self.older = False  # a row that goes to another true state says so: verify may call that good

    def fill(self, text):
        return text.format_map(self.places)

    def say(self, *what):
        self.wrong.append(" ".join(map(str, what)))

    def run(self, *words):
        """A command that has to end by itself; its exit code and what it printed."""
        try:
            done = self.ledger.run(*words, *self.options, timeout=LIMIT)
        except subprocess.TimeoutExpired:
            self.say(*words, "hangs")
            return None, b""
        if done.returncode not in QUIET:
            self.say(*words, "exit code", done.returncode, done.stderr[-300:].decode(errors="replace"))
        return done.returncode, done.stdout

    def verify(self, expect, *options):
        """`expect` is exit codes, then problems with their places: "3 HASH_MISMATCH@p SEAL_MISMATCH"; what comes
        before "..." has to be there, with others; without it there have to be no others."""
        codes, *problems = expect.split()
        code, out = self.run("verify", "--format", "json", "--max-problems", "10000", *options)
        if code is None:
            return
        try:
            report = json.loads(out) if out else {"problems": []}
        except ValueError:
            return self.say("verify printed no JSON", out[-200:])
        found = {f"{p['code']}@{p['position']}" if p["position"] else p["code"] for p in report["problems"]}
        wanted = set()
        for problem in problems:
            name, _, place = problem.partition("@")
            if self.exact or place not in ("", "mark"):  # where pieces begin anew at marks, less follows
                wanted.add(f"{name}@{self.position(place)}" if place else name)
        more = "..." in wanted
        wanted.discard("...")
        if str(code) not in codes.split("|"):
            self.say("verify", *options, "exit code", code, "not", codes, sorted(found)[:12])
        elif (not wanted <= found) if more or not self.exact else wanted != found:
            self.say("verify", *options, "found", sorted(found - wanted)[:12], "and not", sorted(wanted - found)[:12])
        return code

    def position(self, place):
        """ "next", or "next-1"."""
        name, *less = place.split("-")
        return self.places[name] - sum(map(int, less))

    def read(self, readers):
        """What else reads the file ends by itself, and quietly."""
        p, ids = str(self.places["p"]), self.places["p_id"]
        commands = (["tail", "-n", "all", "--format", "json"], ["show", p, "--proof"], ["show", ids], ["status"],
            ["tail", "-n", "3", "--stream", "product/sku-1"], ["tail", "-n", "3", "--tag", "sku:2", "--domain", "orders"],
            ["tail", "--cursor", "mail", "--limit", "2", "-q"])
        for words in self.dice.sample(commands, readers):
            self.run(*words)

    def append(self, before):
        """Refused; or the damage stays to be seen, or is gone and every event is there. What was well stays so."""
        code, _ = self.run("append", "-d", "inventory", "-t", "t", "-s", "product/sku-1", "--timeout", "5s", "1")
        if code != 0:
            return
        after, _ = self.run("verify", "-q")
        if before == 3 and after == 0 and not self.run("tail", "-n", "all", "--format", "json")[1].startswith(self.ledger.wanted):
            self.say("append built on it, and verify says 0")
        if before == 0 and after != 0:
            self.say("append was possible, and verify says", after)

    def try_it(self, readers=READERS, exact=True):
        """Does the row; what is not as it should be comes back, in words."""
        _, how, expect, *more = self.row
        self.exact = exact
        self.ledger.put_back()
        how(self)
        code = self.verify(expect)
        for options, wanted in more:
            self.verify(wanted, *options.split())
        if code == 0 and not self.older and self.run("tail", "-n", "all", "--format", "json")[1] != self.ledger.wanted:
            self.say("verified, but the events are others")
        self.read(readers)
        self.append(code)
        return self.wrong


def run_rows(ledger, rows, name="", **how):
    """Prints TAP, and counts what failed."""
    failed = 0
    for number, row in enumerate(rows, 1):
        wrong = Row(ledger, row, name).try_it(**how)
        failed += bool(wrong)
        print(f"{'not ok' if wrong else 'ok'} {number} {row[0]}", *(f"\n# {line}" for line in wrong), flush=True)
    return failed
