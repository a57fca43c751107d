#!/usr/bin/env python3
"""init_kill_test.py [EVERY] - init and backup, ended before and behind their system calls, and repeated: before
and behind each that makes, renames or removes a file, and each EVERYth (1: all of them).

Killed (SIGKILL) wherever it is: no file stands under its own name that is not whole, the same init run again
makes the ledger (or says that it is made), the ledger takes events and verifies, and nothing but what init
makes is left. Asked to stop (SIGTERM) it leaves all or nothing. The same for backup: the copy is whole or not
there, and the next one removes what a killed one left.
"""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import stepper

PROGRAM = os.environ["LEDGERBOX_BIN"]
EVERY = int(sys.argv[1]) if len(sys.argv) > 1 else 100
MADE = {"ledger.db", "ledger.key", "ledger.yaml", "ledger.db-wal", "ledger.db-shm"}
INIT = ["init", "--node", "store-a", "-q"]
EVENT = ["append", "-d", "inventory", "-t", "t", "{}"]
WORK = Path(tempfile.mkdtemp(prefix="init-kill."))
FOLDER, STATE = WORK / "ledger", WORK / "state"
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("LEDGER")}
ENVIRONMENT.update(XDG_STATE_HOME=str(STATE), TZ="UTC", LC_ALL="C.UTF-8")
# The leak checker stops its own process, which one that is traced cannot; it is not what is tried here.
TRACED = dict(ENVIRONMENT, ASAN_OPTIONS=ENVIRONMENT.get("ASAN_OPTIONS", "") + ":detect_leaks=0")


def names():
    return {entry.name for entry in os.scandir(FOLDER)}


def ours(*words, code=0):
    done = subprocess.run([PROGRAM, *words], cwd=FOLDER, env=ENVIRONMENT, capture_output=True, timeout=60)
    assert done.returncode == code, f"{words}: exit code {done.returncode}, not {code}: {done.stderr.decode()}"
    return done


def fresh():
    shutil.rmtree(FOLDER, ignore_errors=True)
    shutil.rmtree(STATE, ignore_errors=True)
    FOLDER.mkdir()


def step(words, **how):
    return stepper.run([PROGRAM, *words], str(FOLDER), TRACED, **how)


def works():
    ours(*EVENT)
    ours("verify", "--deep", "-q")
    assert names() == MADE, names()


def killed_init(stop):
    fresh()
    step(INIT, stop=stop, number=signal.SIGKILL)
    left = names()
    if "ledger.key" in left:
        assert (FOLDER / "ledger.key").stat().st_size == 65, "half a key"
    if "ledger.db" in left:
        # Made: nothing of it is to be lost, and init says so.
        assert {"ledger.key", "ledger.yaml"} <= left, left
        key = (FOLDER / "ledger.key").read_bytes()
        ours(*INIT, code=14)
        assert key == (FOLDER / "ledger.key").read_bytes()
        for name in names() - MADE:
            assert ".partial-" in name, name
            (FOLDER / name).unlink()
    else:
        ours(*INIT)
    works()
    return bool(left)


def stopped_init(stop):
    fresh()
    status, _, _ = step(INIT, stop=stop, number=signal.SIGTERM)
    left = names()
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGTERM or left == MADE, (status, left)
    assert left in (set(), MADE), left
    if not left:
        ours(*INIT)
    works()


def ended_backup(stop, number):
    before = names()
    step(["backup", "copy.db", "-q"], stop=stop, number=number)
    left = names() - before
    if "copy.db" in left:
        ours("verify", "--deep", "-q", "--database", "copy.db")
        for suffix in ("", "-wal", "-shm"):
            (FOLDER / f"copy.db{suffix}").unlink(missing_ok=True)
    elif number == signal.SIGTERM:
        assert not left, left
    ours("backup", "copy.db", "-q")
    assert names() - before == {"copy.db"}, names() - before
    (FOLDER / "copy.db").unlink()


def moments(words):
    """Where to end it, and at how many stops that could be."""
    before = names()
    status, stops, changes = step(words, watch=names)
    assert status == 0 and names() != before, f"{words} ended with {status}"
    near = {change + by for change in changes for by in (-1, 0)}
    return sorted({*near, *range(changes[0], stops + 1, EVERY)} & {*range(1, stops + 1)}), stops


def try_at(what, at, one, *more):
    try:
        one(at, *more)
    except AssertionError as error:
        sys.exit(f"{what} ended at stop {at}: {error}; kept in {WORK}")


def main():
    fresh()
    try:
        of_init, stops = moments(INIT)
    except OSError as error:
        print("skipped:", error)
        sys.exit(77)
    for at in of_init:
        try_at("init", at, killed_init)
        try_at("init", at, stopped_init)
    print(f"init: killed and stopped at {len(of_init)} of {stops} moments", flush=True)
    fresh()
    ours(*INIT)
    ours(*EVENT)
    of_backup, stops = moments(["backup", "copy.db", "-q"])
    (FOLDER / "copy.db").unlink()
    for at in of_backup:
        try_at("backup", at, ended_backup, signal.SIGKILL)
        try_at("backup", at, ended_backup, signal.SIGTERM)
    print(f"backup: killed and stopped at {len(of_backup)} of {stops} moments")
    shutil.rmtree(WORK)


if __name__ == "__main__":
    main()
