#!/usr/bin/env python3
"""kill_test.py [SEED [SECONDS]] - appenders, readers and inits side by side, killed (SIGKILL) at random moments.

Every answered event is there exactly once, at the place that was answered; positions have no gap; an append that
was killed before its answer and repeated with the same --id or --once is there once; what tail -f printed is a
part of the ledger without a gap; a killed init is repeated and makes a ledger; verify --deep says 0.
"""
import collections
import json
import random
import shutil
import subprocess
import sys
import threading
import time
import uuid
from campaign import Campaign

APPENDERS, READERS, FOUNDERS = 6, 3, 1
SECONDS = float(sys.argv[2]) if len(sys.argv) > 2 else 15


class Kills(Campaign):
    def __init__(self):
        super().__init__("kill")
        print(f"for {SECONDS:g} s", flush=True)
        self.end_time = time.monotonic() + SECONDS
        self.answered, self.lock, self.codes = {}, threading.Lock(), collections.Counter()
        self.once, self.seen = set(), {}

    def kill_at_random(self, words, stdin, chance, dice, folder=None):
        process = subprocess.Popen([self.program, *words], cwd=folder or self.folder, env=self.environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        # What follows is given the time to print something.
        delay = dice.random() * 3 if "-f" in words else dice.random() ** 2 * 0.15
        timer = threading.Timer(delay, process.kill)
        if dice.random() < chance:
            timer.start()
        out, err = process.communicate(stdin)
        timer.cancel()
        with self.lock:
            self.codes[words[0], process.returncode] += 1
        if process.returncode not in (0, -9, 20):
            self.problem(*words[:3], "exit code", process.returncode, err[-300:].decode())
        return process.returncode, out

    def note_answers(self, out):
        """Returns the ids."""
        ids = []
        for line in out.decode().splitlines(True):
            fields = line.split()
            if not line.endswith("\n"):
                continue  # cut by the kill: not an answer
            ids.append(fields[3])
            with self.lock:
                if self.answered.setdefault(fields[3], fields) != fields:
                    self.problem("two answers for one id:", fields, self.answered[fields[3]])
        return ids

    def append_until_answered(self, words, dice):
        """The same append again and again, until one lived to answer."""
        while True:
            code, out = self.kill_at_random(words, b"", 0.7, dice)
            ids = self.note_answers(out)
            if ids:
                return ids[0]
            if code == 0:
                self.problem(*words, "ended well without an answer")
                return None

    def append(self, number):
        dice, n = random.Random(self.seed * 100 + number), 0
        while time.monotonic() < self.end_time:
            n += 1
            kind = dice.choice(["one", "once", "id", "many", "atomic"])
            words = ["append", "-d", f"d{number % 3}", "-t", "t"]
            lines = b"".join(b'{"payload":[%d,%d,%d]}\n' % (number, n, i) for i in range(dice.choice([5, 200, 3000])))
            if kind == "once":
                # Half of them by several at a time, and again after they were answered.
                key = f"key-{dice.randrange(20)}" if dice.random() < 0.5 else f"key-{number}-{n}"
                self.append_until_answered(["append", "-d", "d0", "-t", "once", "--once", key, json.dumps(key)], dice)
                self.once.add(key)
                continue
            if kind == "id":
                id = str(uuid.UUID(int=dice.getrandbits(128), version=4))
                if self.append_until_answered([*words, "--id", id, "-s", f"s/{dice.randrange(5)}", "1"], dice) != id:
                    self.problem("answered with another id than", id)
                continue
            if kind == "one":
                words, lines = [*words, "-s", f"s/{dice.randrange(5)}", f"[{number},{n}]"], b""
            elif kind == "many":
                words += ["--batch", str(dice.choice([1, 3, 50]))]
            else:
                words.append("--atomic")
            self.note_answers(self.kill_at_random(words, lines, 0.5, dice)[1])

    def note_followed(self, out):
        """What tail -f printed until it was killed: positions one behind the other, whole lines."""
        last = 0
        for line in out.splitlines(True):
            if not line.endswith(b"\n"):
                break
            event = json.loads(line)
            position = event["position"]
            if last and position != last + 1:
                self.problem("tail -f printed position", position, "behind", last)
            last = position
            with self.lock:
                if self.seen.setdefault(position, event["hash"]) != event["hash"]:
                    self.problem("two events at position", position)

    def read(self, number):
        dice = random.Random(self.seed * 1000 + number)
        commands = (["tail", "-f", "-n", "50", "--format", "json"], ["tail", "-n", "all"], ["verify"],
            ["verify", "--since-last"], ["status"], ["backup", "--force", f"copy-{number}.db"],
            ["tail", "--cursor", f"c{number}"], ["tail", "-n", "9", "-o", f"out-{number}"])
        while time.monotonic() < self.end_time:
            words = dice.choice(commands)
            out = self.kill_at_random(words, b"", 1.0 if "-f" in words else 0.4, dice)[1]
            if "-f" in words:
                self.note_followed(out)

    def found(self, number):
        """Ledgers of their own, each made by as many inits as it takes."""
        dice, n = random.Random(self.seed * 10000 + number), 0
        while time.monotonic() < self.end_time:
            folder = self.work / f"founded-{number}"
            folder.mkdir()
            while not (folder / "ledger.db").exists():
                if self.kill_at_random(["init", "--node", "store-b", "-q"], b"", 0.8, dice, folder)[0] not in (0, -9):
                    return
            for words in (["append", "-q", "-d", "d", "-t", "t", "1"], ["verify", "-q", "--deep"]):
                done = subprocess.run([self.program, *words], cwd=folder, env=self.environment, capture_output=True, timeout=300)
                if done.returncode != 0:
                    self.problem("after a killed init:", words, done.returncode, done.stderr.decode())
                    return
            shutil.rmtree(folder)
            n += 1
        self.codes["ledgers founded", 0] += n

    def check_left(self):
        """The next run of the same command removes what a killed one left."""
        for number in range(READERS):
            self.expect(0, "backup", "--force", f"copy-{number}.db")
            self.expect(0, "tail", "-n", "9", "-o", f"out-{number}")
            self.expect(0, "verify", "--database", f"copy-{number}.db")
        left = [file.name for file in self.folder.iterdir() if ".partial-" in file.name]
        if left:
            self.problem("left behind:", *left)

    def check(self):
        self.expect(0, "verify", "--deep")
        events = [json.loads(line) for line in self.expect(0, "tail", "-n", "all", "--format", "json").splitlines()]
        if [event["position"] for event in events] != list(range(1, len(events) + 1)):
            self.problem("the positions have a gap")
        by_id = {event["id"]: event for event in events}
        if len(by_id) != len(events):
            self.problem("an id is there twice")
        for position, sequence, _, id, hash in self.answered.values():
            event = by_id.get(id)
            if not event or [str(event["position"]), str(event["sequence"]), event["hash"]] != [position, sequence, hash]:
                self.problem("answered, but not there so:", position, sequence, id)
        once = collections.Counter(event["payload"] for event in events if event["type"] == "once")
        if once != collections.Counter(self.once):
            self.problem("--once is not there once:", (once - collections.Counter(self.once)), collections.Counter(self.once) - once)
        for position, hash in self.seen.items():
            if position > len(events) or events[position - 1]["hash"] != hash:
                self.problem("tail -f printed what is not there:", position)
        self.check_left()
        self.end(f"{len(events)} events, {len(self.answered)} answers, {len(self.once)} keys of --once, {len(self.seen)} "
            f"followed, runs by command and exit code: {dict(sorted(self.codes.items()))}")


def main():
    kills = Kills()
    threads = [threading.Thread(target=kills.append, args=(n,)) for n in range(APPENDERS)]
    threads += [threading.Thread(target=kills.read, args=(n,)) for n in range(READERS)]
    threads += [threading.Thread(target=kills.found, args=(n,)) for n in range(FOUNDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kills.check()


if __name__ == "__main__":
    main()
