"""Every call for the disk and every allocation fails, once or from there on (ledgerbox-faulty).

Whatever fails: the command is as good as without it, or says what is wrong with a code that fits; what was
answered is there, what was said not to be recorded is not; the ledger verifies; nothing lies about.
"""
import errno
import os
import re
import resource
import shutil
import sqlite3
import subprocess
from pathlib import Path

from campaign import Campaign
import disk

FAULTY = Path(os.environ["LEDGERBOX_BIN"]).parent.parent / "tests" / "ledgerbox-faulty"
LINES = b"".join(b'{"domain":"d2","type":"t","stream":"s/2","tags":["k:v"],"payload":%d}\n' % n for n in range(4))
MUCH = b"".join(b'{"domain":"d2","type":"t","payload":"%s"}\n' % (b"x" * 200000) for n in range(8))
HANDLER = """#!/bin/sh
read -r line
echo '{"type":"counted","payload":1}'
"""
CONFIG = """stream_types: {s: {domain: d1}}
commands:
  - {stream_type: s, command: count, exec: [./handler]}
"""

# Name, words, stdin; those that write may record something.
READERS = (
    ("tail", "tail -n all --format json", b""),
    ("tail of a stream", "tail --stream s/1 --tag k:v -n 3", b""),
    ("show", "show 5 --proof", b""),
    ("verify", "verify --deep", b""),
    ("verify of what is new", "verify --since-last", b""),
    ("status", "status --format json", b""),
    ("cursor list", "cursor list", b""),
    ("state", "state s/1 --format json", b""),
    ("fork list", "fork list", b""),
    ("quarantine list", "quarantine list --all", b""),
    ("own list", "own list", b""),
    ("backup", "backup copy.db", b""),
)
WRITERS = (
    ("append", "append -d d1 -t t -s s/1 --once k --tag a:b --cursor mail=5 1", b""),
    ("append of lines", "append --batch 1", LINES),
    ("append --atomic", "append --atomic", LINES),
    ("append of much", "append --batch 2", MUCH),
    ("cursor set", "cursor set mail 7", b""),
    ("snapshot take", "snapshot take s/1", b""),
    ("own claim", "own claim s/2 -d d2", b""),
    ("own transfer", "own transfer s/1 store-b", b""),
    ("send", "send --once k s/1 count", b""),
    ("recover", "recover --offline --force", b""),
)
INIT = ("init", "init --node store-a", b"")

MAY_DIFFER = ("status", "verify of what is new", "init")

# Kind of call, error, is a write done in half before.
DISK_FAULTS = (
    ("read", errno.EIO, False),
    ("write", errno.EIO, False),
    ("write", errno.EIO, True),
    ("write", errno.ENOSPC, False),
    ("write", errno.ENOSPC, True),
    ("sync", errno.EIO, False),
    ("sync", errno.ENOSPC, False),
    ("truncate", errno.EIO, False),
    ("lock", errno.ENOLCK, False),
    ("open", errno.EIO, False),
    ("open", errno.EMFILE, False),
    ("name", errno.EIO, False),
    ("name", errno.ENOSPC, False),
)
MEMORY_FAULTS = (("alloc", errno.ENOMEM, False),)
IO, NO_SPACE, NO_MEMORY, UNKNOWN = 23, 24, 25, 31
CODES = {errno.ENOSPC: (NO_SPACE,), errno.ENOMEM: (NO_MEMORY,)}


class Failures(Campaign):
    def __init__(self, name, program=None, few=None, every=1):
        """All calls fail in turn, once and from there on, and every `every`th allocation; with `few` only some
        of each kind, in one of both ways."""
        super().__init__(name, program)
        self.journal = Path(f"{self.work}.journal")
        self.few, self.every, self.runs = few, every, 0
        self.prepare()

    def prepare(self):
        handler = self.folder / "handler"
        handler.write_text(HANDLER)
        handler.chmod(0o755)
        with (self.folder / "ledger.yaml").open("a", encoding="utf-8") as config:
            config.write(CONFIG)
        lines = b"".join(b'{"domain":"d1","type":"t","stream":"s/1","tags":["k:v"],"metadata":{"correlation_id":"c"},'
            b'"payload":%d}\n' % n for n in range(30))
        self.expect(0, "append", "-q", stdin=lines)
        self.expect(0, "cursor", "set", "mail", "3", "-q")
        self.expect(0, "verify", "-q")
        self.expect(0, "append", "-q", "-d", "d1", "-t", "t", "-s", "s/1", "31")
        self.expect(0, "own", "claim", "s/1", "-q")
        self.kept = {path.name: path.read_bytes() for path in self.folder.iterdir() if not path.name.endswith("-shm")}
        shutil.copytree(self.state, f"{self.state}.kept")
        self.rows_before = self.rows()

    def restore(self):
        """In place: a ledger knows its inode."""
        for path in self.folder.iterdir():
            if path.name not in self.kept:
                path.unlink()
        for name, content in self.kept.items():
            if (self.folder / name).read_bytes() != content:
                (self.folder / name).write_bytes(content)
        shutil.rmtree(self.state)
        shutil.copytree(f"{self.state}.kept", self.state)

    def rows(self):
        db = sqlite3.connect(f"file:{self.folder}/ledger.db?mode=ro", uri=True)
        rows = {id.lower(): hash.lower() for id, hash in db.execute("select hex(id), hex(hash) from event")}
        db.close()
        return rows

    # --- Runs

    def run_faulty(self, command, kind="", at=0, ever=False, error=0, short=False, **how):
        self.journal.unlink(missing_ok=True)
        environment = dict(self.environment, FAULT_JOURNAL=str(self.journal), FAULT_KIND=kind, FAULT_AT=str(at),
            FAULT_EVER=str(int(ever)), FAULT_ERRNO=str(error), FAULT_SHORT=str(int(short)))
        self.runs += 1
        done = subprocess.run([FAULTY, *command[1].split()], cwd=self.folder, env=environment, input=command[2],
            capture_output=True, timeout=60, **how)
        self.happened = list(disk.records(self.journal.read_bytes()))
        return done

    def chosen(self, kind, n):
        """(call, and all behind it) for those of the calls 1..n that fail."""
        if not self.few:
            step = self.every if kind == "alloc" else 1
            return [(at, ever) for at in range(1 + self.random.randrange(step), n + 1, step) for ever in (False, True)]
        few = min(n, self.few.get(kind, 1))
        return [(at, self.random.random() < 0.5) for at in self.random.sample(range(1, n + 1), few)]

    def try_faults(self, command, faults):
        """Each call of each kind fails in turn. What is wrong is printed; True where nothing is."""
        before = len(self.problems)
        self.begin(command)
        well = self.run_faulty(command)
        counts = disk.counts(self.journal.read_bytes())
        if well.returncode != 0:
            self.problem(command[0], "fails without a fault:", well.stderr.decode())
        for kind, error, short in faults:
            for at, ever in self.chosen(kind, counts[kind]):
                self.begin(command)
                done = self.run_faulty(command, kind, at, ever, error, short)
                what = f"{command[0]}: {kind} {at}{' and on' if ever else ''}, error {error}{' short' if short else ''}"
                self.check(command, well, done, error, what)
        return len(self.problems) == before

    def begin(self, command):
        if command is not INIT:
            self.restore()
            return
        shutil.rmtree(self.folder)
        shutil.rmtree(self.state, ignore_errors=True)
        self.folder.mkdir()

    # --- What has to hold

    def check(self, command, well, done, error, what):
        allowed = CODES.get(error, (IO,))
        if " sync " in what or " name " in what:
            allowed += (IO,)  # SQLite does not always keep what the system said
        if command in WRITERS:
            allowed += (UNKNOWN,)
        if done.returncode == 0:
            # Some say less where the state folder cannot be read, or, as verify, do more.
            if command[0] not in MAY_DIFFER and self.plain(done.stdout) != self.plain(well.stdout):
                self.problem(what, "| said 0, but printed something else:", done.stdout[-300:], done.stderr[-300:])
        elif done.returncode not in allowed:
            self.problem(what, "| exit code", done.returncode, done.stderr[-400:].decode())
        elif not re.search(rb'(?m)^(ledgerbox [a-z]+: |{"code":\d+,"status":"[a-z-]+","message":").{12}', done.stderr):
            self.problem(what, "| no message:", done.stderr)
        if command is INIT:
            self.check_init(done, what)
        else:
            self.check_ledger(done, what)
        self.check_behind_a_failed_sync(what)

    @staticmethod
    def plain(out):
        """Without what differs from run to run: ids, hashes, times, sizes."""
        out = re.sub(rb"[0-9a-f]{12,}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", b"HEX", out)
        out = re.sub(rb"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?Z?", b"TIME", out)
        return re.sub(rb"\d+ s ago|\d{10,}|[0-9.]+ [KMGT]?i?B|(_bytes|elapsed|ago|age)[a-z_]*\":[0-9.]+", b"N", out)

    def check_ledger(self, done, what):
        left = {path.name for path in self.folder.iterdir()} - {"ledger.db-shm", "copy.db"} - set(self.kept)
        if left:
            self.problem(what, "| left behind:", left)
        if (self.folder / "copy.db").exists() and self.run("verify", "--database", "copy.db").returncode != 0:
            self.problem(what, "| the copy does not verify")
        if all((self.folder / name).read_bytes() == content for name, content in self.kept.items()):
            return
        verified = self.run("verify", "--deep")
        if verified.returncode != 0:
            self.problem(what, f"| ended {done.returncode}, verify says", verified.returncode, verified.stdout.decode())
            return
        self.check_rows(done, what)

    def check_rows(self, done, what):
        rows = self.rows()
        answered = {fields[3].replace("-", ""): fields[4] for fields in map(str.split, done.stdout.decode().splitlines())
            if len(fields) == 5 and len(fields[4]) == 64}
        if self.rows_before.items() - rows.items() or answered.items() - rows.items():
            self.problem(what, "| events are lost")
        unsaid = len(rows) - len(self.rows_before) - len(answered)
        if unsaid and done.returncode not in (0, UNKNOWN):
            self.problem(what, f"| {unsaid} events more than was answered, and the exit code is {done.returncode}")

    def check_init(self, done, what):
        left = {path.name for path in self.folder.iterdir()}
        if done.returncode == 0:
            if self.run("verify", "--deep").returncode != 0 or self.run("append", "-d", "d", "-t", "t", "1").returncode != 0:
                self.problem(what, "| init said 0, and its ledger is no good")
        elif left:
            self.problem(what, "| init failed and left behind:", left)

    def check_behind_a_failed_sync(self, what):
        """After a failed sync of the ledger nobody knows what is on the disk: nothing may build on it."""
        ledger = {(self.folder / name).stat().st_ino for name in ("ledger.db", "ledger.db-wal") if (self.folder / name).exists()}
        failed = False
        for kind, inode, _, text, _ in self.happened:
            failed |= kind == disk.FAILED and text == b"sync"
            if failed and kind in (disk.WRITE, disk.TRUNCATE) and inode in ledger:
                self.problem(what, "| the ledger was written behind a failed sync")
                return

    # --- Descriptors

    def try_descriptors(self, command):
        """Few descriptors at first, then ever more, until there are enough."""
        before = len(self.problems)
        self.begin(command)
        well = self.run_faulty(command)
        for limit in range(4, 40):
            self.begin(command)
            done = self.run_plain(command, limit)
            self.check(command, well, done, errno.EMFILE, f"{command[0]}: {limit} descriptors")
            if done.returncode == 0 and done.stderr == well.stderr:
                break
        else:
            self.problem(command[0], "| needs more than 40 descriptors")
        return len(self.problems) == before

    def run_plain(self, command, limit):
        self.runs += 1
        self.happened = []
        return subprocess.run([self.program, *command[1].split()], cwd=self.folder, env=self.environment,
            input=command[2], capture_output=True, timeout=60,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)))

    # --- All of it

    def claims(self):
        for command in READERS + WRITERS + (INIT,):
            yield (f"{command[0]}: any call for the disk fails: a message and the code that fits, or as good as without",
                lambda c=command: self.try_faults(c, DISK_FAULTS))
            yield (f"{command[0]}: any allocation fails: no memory, or as good as without",
                lambda c=command: self.try_faults(c, MEMORY_FAULTS))
            yield (f"{command[0]}: too few descriptors: a message and the code that fits",
                lambda c=command: self.try_descriptors(c))

    def go(self):
        claims = list(self.claims())
        print(f"1..{len(claims)}")
        for number, (claim, holds) in enumerate(claims, 1):
            print("ok" if holds() else "not ok", number, claim, flush=True)
        self.journal.unlink(missing_ok=True)
        self.end(f"# {self.runs} runs")
