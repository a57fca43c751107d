#!/usr/bin/env python3
"""sandbox_test.py - readers gave up their rights, and keys are seen nowhere; asked of real processes.

A reader is held in the middle of its output by a pipe that is full, and /proc tells what it gave up.
"""
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROGRAM = os.environ["LEDGERBOX_BIN"]
WORK = Path(tempfile.mkdtemp(prefix="sandbox."))
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("LEDGER")}
ENVIRONMENT.update(XDG_STATE_HOME=str(WORK / "state"), TZ="UTC", LC_ALL="C.UTF-8")
lines = []


def ours(*words, code=0, **how):
    done = subprocess.run([PROGRAM, *words], cwd=WORK, env=ENVIRONMENT, capture_output=True, timeout=120, **how)
    assert done.returncode == code, f"{words}: exit code {done.returncode}, not {code}: {done.stderr.decode()}"
    return done


def status_of(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def held(*words):
    """The process, asleep because nobody reads what it prints."""
    out, into = os.pipe()
    fcntl.fcntl(into, fcntl.F_SETPIPE_SZ, 4096)
    os.write(into, b"x" * fcntl.fcntl(into, fcntl.F_GETPIPE_SZ))
    process = subprocess.Popen([PROGRAM, *words], cwd=WORK, env=ENVIRONMENT, stdout=into, stderr=subprocess.DEVNULL)
    os.close(into)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        where = Path(f"/proc/{process.pid}/syscall").read_text().split()
        # Asleep in a write to stdout: write(1, …) is the only call with 1 and a pointer that waits here.
        if where[0] != "running" and len(where) > 2 and int(where[1], 16) == 1 and status_of(process.pid)["State"][0] == "S":
            return process, out
        assert process.poll() is None, f"{words} ended with {process.returncode}"
        time.sleep(0.005)
    raise AssertionError(f"{words} did not print")


def check(name, claim, *words):
    try:
        claim(*words)
        lines.append(("ok", name))
    except PermissionError as error:
        lines.append(("ok", f"{name} # skip {error}"))
    except AssertionError as error:
        lines.append(("not ok", f"{name}\n# {error}"))


def gave_up(*words):
    process, out = held(*words)
    status = status_of(process.pid)
    os.close(out)
    process.wait(60)
    assert status["NoNewPrivs"] == "1", "it may gain privileges"
    assert status["Seccomp"] == "2", "its calls are not filtered"


def keeps(*words):
    process, out = held(*words)
    status = status_of(process.pid)
    os.close(out)
    process.wait(60)
    assert status["Seccomp"] == "0", "a writer is filtered"


def shows_no_key(*words):
    """Neither in what it prints nor in its argv and environment."""
    key = (WORK / "ledger.key").read_bytes().strip()
    done = subprocess.run([PROGRAM, *words], cwd=WORK, env=ENVIRONMENT, capture_output=True, timeout=120)
    assert key not in done.stdout + done.stderr, "printed"


def argv_has_no_key():
    key = (WORK / "ledger.key").read_bytes().strip()
    process, out = held("tail", "-n", "all", "--format", "json")
    seen = Path(f"/proc/{process.pid}/cmdline").read_bytes() + Path(f"/proc/{process.pid}/environ").read_bytes()
    os.close(out)
    process.wait(60)
    assert key not in seen


def memory_of(pid):
    """What the process can write, without what a sanitizer keeps for itself."""
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            span, rights, *_ = line.split()
            begin, end = (int(at, 16) for at in span.split("-"))
            if rights.startswith("rw") and end - begin < 1 << 28:
                memory.seek(begin)
                try:
                    yield memory.read(end - begin)
                except OSError:
                    pass  # a page that is only there for show


def memory_has_no_key(*words):
    """It has checked MACs and signed, or will; what it keeps for that is not the key."""
    key = (WORK / "ledger.key").read_bytes().strip()
    process, out = held(*words)
    content = b"".join(memory_of(process.pid))
    os.close(out)
    process.wait(60)
    assert b"ledger.db" in content, "that is not its memory"
    assert key not in content, "the digits of the key are in it"
    assert bytes.fromhex(key.decode()) not in content, "the key is in it"


def environment_shows_no_key(*words):
    """With the key in the environment."""
    key = (WORK / "ledger.key").read_text().strip()
    done = subprocess.run([PROGRAM, *words], cwd=WORK, env={**ENVIRONMENT, "LEDGER_HMAC_KEY": key}, capture_output=True, timeout=120)
    assert key.encode() not in done.stdout + done.stderr, "printed"
    assert b"LEDGER_HMAC_KEY" in done.stdout + done.stderr, "not warned of"


def handlers_get_no_key():
    """What a handler's environment holds is the event, and nothing of ours."""
    key = (WORK / "ledger.key").read_text().strip()
    config = WORK / "ledger.yaml"
    config.write_text(config.read_text() + "handlers:\n  show: {domain: inventory, exec: [/bin/sh, -c, env > seen], start: beginning}\n")
    done = subprocess.run([PROGRAM, "replay", "show", "--limit", "1"], cwd=WORK, env={**ENVIRONMENT, "LEDGER_HMAC_KEY": key},
        capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    seen = (WORK / "seen").read_text()
    assert "LEDGER_EVENT_POSITION=1" in seen, f"that is not its environment: {seen}"
    assert key not in seen, "the key is in it"


def files_have_no_key():
    key = (WORK / "ledger.key").read_bytes().strip()
    raw = bytes.fromhex(key.decode())
    for file in WORK.rglob("*"):
        if file.is_file() and file.name != "ledger.key":
            content = file.read_bytes()
            assert key not in content and raw not in content, f"in {file}"


def main():
    try:
        ours("init", "--node", "store-a", "-q")
        # Nobody is there: what it gave up counts.
        ENVIRONMENT["NATS_PRIMARY_URL"] = "nats://127.0.0.1:9"
        events = b"".join(b'{"domain":"inventory","type":"t","payload":{"text":"%s"}}\n' % (b"a" * 400) for _ in range(50))
        ours("append", input=events)
        for words in (["tail", "-n", "all"], ["tail", "-f", "-n", "all"], ["show", "1"], ["status"], ["verify"], ["verify", "--peers", "--within", "10ms"],
                ["status", "--check"], ["tail", "--cursor", "c"], ["tail", "--cursor-file", "f"]):
            check(f"{' '.join(words)} gave up what it does not need", gave_up, *words)
        check("append keeps its rights", keeps, "append", "-d", "inventory", "-t", "t", "{}")
        for words in (["config", "show"], ["config", "show", "--format", "json"], ["status", "--format", "json"],
                ["show", "1", "--proof"], ["verify", "--format", "json", "--deep"], ["backup", "copy.db"],
                ["tail", "--key-file", "ledger.db"], ["append", "--key-file", "ledger.yaml", "-d", "d", "-t", "t", "1"]):
            check(f"{' '.join(words)} prints no key", shows_no_key, *words)
        check("the key is in no argv and no environment", argv_has_no_key)
        for words in (["verify", "--format", "json"], ["status", "--format", "json"], ["append", "-d", "inventory", "-t", "t", "{}"]):
            check(f"the key is not in the memory of {words[0]}, which has read it", memory_has_no_key, *words)
        for words in (["config", "show"], ["config", "show", "--format", "json"], ["status"], ["verify"]):
            check(f"{' '.join(words)} prints no key of the environment", environment_shows_no_key, *words)
        check("the key is in no environment of a handler", handlers_get_no_key)
        check("the key is in no other file", files_have_no_key)
    finally:
        shutil.rmtree(WORK)
    print(f"1..{len(lines)}")
    for number, (result, name) in enumerate(lines, 1):
        print(result, number, name)
    sys.exit(any(result != "ok" for result, _ in lines))


if __name__ == "__main__":
    main()
