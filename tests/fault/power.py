"""Power losses: the real program on a disk that keeps what was not synced apart (ledgerbox-faulty, disk.py).

Commands are cut off at one of their changes of the disk; the files become what a power loss may leave; the
next command, which may be cut off too, has to cope. What was answered before the cut has to be there.
"""
import json
import os
import shutil
import sqlite3
import subprocess
from pathlib import Path

from campaign import Campaign
import disk

ROUND = 30  # cuts, then a new ledger
FAULTY = Path(os.environ["LEDGERBOX_BIN"]).parent.parent / "tests" / "ledgerbox-faulty"


class Power(Campaign):
    def __init__(self, name, program=None, lie=None, loud=True):
        super().__init__(name, program)
        self.journal = Path(f"{self.work}.journal")
        self.lie, self.loud = lie, loud
        self.cuts = self.losses = self.events = self.checks = 0
        self.actions = [self.append_lines, self.append_lines, self.append_once, self.append_with_cursor]
        if not lie:
            self.actions += [self.back_up, self.recover]
        self.steps = {}  # kind of run: the most changes of the disk that one made
        self.begin_round()

    # --- Runs

    def run_faulty(self, words, stdin=b"", cut=0):
        self.journal.unlink(missing_ok=True)
        environment = dict(self.environment, FAULT_JOURNAL=str(self.journal), FAULT_CUT=str(cut))
        if self.lie:
            environment["FAULT_LIE"] = self.lie
        done = subprocess.run([FAULTY, *words], cwd=self.folder, env=environment, input=stdin,
            capture_output=True, timeout=60)
        journal = self.journal.read_bytes()
        self.disk.note(journal)
        self.cuts += done.returncode == -9
        self.history.append((" ".join(words[:8]), f"cut {cut}", f"ended {done.returncode}", len(stdin)))
        return done, disk.counts(journal).get("step", 0)

    def cut_run(self, kind, words, stdin=b""):
        """A run that may be cut off at any of its changes. The first of its kind is not."""
        most = self.steps.get(kind, 0)
        cut = self.random.randint(1, most) if most else 0
        done, steps = self.run_faulty(words, stdin, cut)
        self.steps[kind] = max(most, steps)
        if done.returncode not in (0, -9):
            self.problem("unusable", *words[:4], "exit code", done.returncode, done.stderr[-300:].decode())
        return done

    def note_answers(self, out):
        for line in out.decode().splitlines(True):
            fields = line.split()
            if line.endswith("\n") and len(fields) == 5:
                self.answered[fields[3].replace("-", "")] = (int(fields[0]), int(fields[1]), fields[4])

    # --- What is done

    def begin_round(self):
        self.empty_folder()
        shutil.rmtree(self.state, ignore_errors=True)
        self.answered, self.cursors, self.epochs = {}, {}, set()
        self.copied, self.copy_touched, self.n, self.history = None, False, 0, []
        self.disk = disk.Disk(self.work, self.folder)
        if self.lie:
            self.expect(0, "init", "--node", "store-a", "-q")
        else:
            done = self.cut_run("init", ["init", "--node", "store-a"])
            self.lose_power()
            self.check_init(done)
        self.disk.settle()

    def check_init(self, done):
        """A ledger that was answered is there; one that was not is there too, or init can simply be repeated."""
        verified = self.run("verify", "--deep")
        if verified.returncode == 0:
            return
        if done.returncode == 0:
            self.problem("lost", "the ledger that init answered:", verified.returncode, verified.stderr.decode())
        again = self.run("init", "--node", "store-a", "-q")
        if again.returncode != 0:
            self.problem("unusable", "init again:", again.returncode, again.stderr.decode())
            self.empty_folder()
            self.expect(0, "init", "--node", "store-a", "-q")
        elif self.run("verify", "--deep").returncode != 0:
            self.problem("damaged", "what a repeated init made")

    def empty_folder(self):
        shutil.rmtree(self.folder)
        self.folder.mkdir()

    def append_lines(self):
        n = self.random.choice([1, 3, 20, 60])
        size = self.random.choice([10, 10, 3000, 30000])
        batch = self.random.choice([1, 2, 7, 10000])
        lines = b"".join(b'{"payload":"%d%s"}\n' % (i, b"x" * size) for i in range(n))
        words = ["append", "-d", f"d{self.random.randrange(3)}", "-t", "t", "-s", "s/1", "--tag", "k:v"]
        words += ["--atomic"] if self.random.random() < 0.3 and n * size < 1 << 20 else ["--batch", str(batch)]
        self.note_answers(self.cut_run(f"lines {n} {size} {batch}", words, lines).stdout)

    def append_once(self):
        self.n += 1
        words = ["append", "-d", "once", "-t", "t", "--once", f"key-{self.n}", "1"]
        first = self.cut_run("once", words)
        self.note_answers(first.stdout)
        if first.returncode == 0:
            return
        self.lose_power()
        again, _ = self.run_faulty(words)
        self.note_answers(again.stdout)
        if again.returncode != 0:
            self.problem("unusable", "append --once again:", again.returncode, again.stderr.decode())

    def append_with_cursor(self):
        if not self.answered:
            return
        position = max(place[0] for place in self.answered.values())
        done = self.cut_run("cursor", ["append", "-d", "c", "-t", "t", "--cursor", f"mail={position}", "1"])
        self.note_answers(done.stdout)
        if done.stdout.endswith(b"\n"):
            self.cursors["mail"] = position

    def back_up(self):
        events, self.copy_touched = len(self.answered), True
        done = self.cut_run("backup", ["backup", "--force", "copy.db", "-q"])
        if done.returncode == 0:
            self.copied = events

    def recover(self):
        done = self.cut_run("recover", ["recover", "--offline", "--force", "--format", "json"])
        if done.returncode == 0:
            self.epochs.add(json.loads(done.stdout)["epoch"])

    # --- What is left

    def lose_power(self):
        self.losses += 1
        mode = self.random.choice(disk.MODES)
        self.history.append(("power lost", mode))
        self.disk.lose_power(mode, self.random)

    def check(self):
        self.checks += 1
        done = self.run("verify", "--deep")
        if done.returncode != 0:
            self.problem("damaged", done.returncode, done.stdout[-500:].decode(), done.stderr.decode())
            return
        rows, cursors = self.read_ledger()
        for id, place in self.answered.items():
            if rows.get(id) != place:
                self.problem("lost", "answered, but not there so:", id, place, rows.get(id))
        self.check_cursors({place[0]: place[2] for place in rows.values()}, cursors)
        if self.copy_touched:
            self.check_copy()
        self.events = max(self.events, len(rows))

    def ask(self, file, *questions):
        db = sqlite3.connect(f"file:{self.folder / file}?mode=ro", uri=True)
        answers = [db.execute(question).fetchall() for question in questions]
        db.close()
        return answers

    def read_ledger(self):
        rows, cursors, epochs = self.ask("ledger.db", "select hex(id), position, sequence, hex(hash) from event",
            "select name, position, hex(hash) from cursor", "select epoch from chain")
        for epoch in self.epochs - {row[0] for row in epochs}:
            self.problem("lost", "epoch", epoch, "was answered by recover")
        return ({id.lower(): (position, sequence, hash.lower()) for id, position, sequence, hash in rows},
            {name: (position, hash.lower()) for name, position, hash in cursors})

    def check_cursors(self, hashes, cursors):
        for name, (position, hash) in cursors.items():
            if position and hashes.get(position) != hash:
                self.problem("cursor", name, "stands at", position, "where that event is not")
        for name, position in self.cursors.items():
            if cursors.get(name, (0,))[0] < position:
                self.problem("lost", "cursor", name, "was answered at", position)

    def check_copy(self):
        """Whole or not there; what an answered backup had is in it."""
        self.copy_touched = False
        if not (self.folder / "copy.db").exists():
            if self.copied is not None:
                self.problem("lost", "the backup that was answered")
            return
        done = self.run("verify", "--database", "copy.db")
        if done.returncode != 0:
            self.problem("damaged", "the backup:", done.returncode, done.stderr.decode())
        elif self.copied and self.ask("copy.db", "select count(*) from event")[0][0][0] < self.copied:
            self.problem("lost", "the backup has less than the", self.copied, "events that it had")

    # --- All of it

    def cut_some(self):
        """One command on the ledger, a power loss in or behind it, perhaps more of both, a check."""
        for _ in range(self.random.choice([1, 1, 2, 3, 4])):
            self.random.choice(self.actions)()
            self.lose_power()
        self.check()
        self.disk.settle()

    def go(self, cuts, until=None):
        """Until so many cuts, or a problem of the kind `until`. After a problem with a new ledger."""
        next_round = ROUND
        while self.cuts < cuts and not any(what[0] == until for what in self.problems):
            known = len(self.problems)
            self.cut_some()
            if self.cuts >= next_round or len(self.problems) > known:
                self.begin_round()
                next_round = self.cuts + ROUND

    def problem(self, *what):
        if self.loud:
            super().problem(*what, "| after:", *self.history[-8:])
        else:
            self.problems.append(what)

    def end(self, summary):
        self.journal.unlink(missing_ok=True)
        super().end(summary)

    def summary(self):
        return f"{self.cuts} cuts, {self.losses} power losses, {self.checks} checks, up to {self.events} events"

    def remove(self):
        self.journal.unlink(missing_ok=True)
        shutil.rmtree(self.work)
