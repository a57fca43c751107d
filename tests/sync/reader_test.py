#!/usr/bin/env python3
"""The script of ledgerbox-protocol(7): it reads events from a real server, without any library."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback

import servers
import talk

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
PAGE = os.path.join(ROOT, "man", "ledgerbox-protocol.7.scd")
PROGRAM = os.path.realpath(os.environ.get("LEDGERBOX_BIN", os.path.join(ROOT, "build/cmd/ledgerbox")))
STREAM, SUBJECT = "ledger-inventory", "ledger.events.inventory.store-a"


class Stage:
    def __init__(self, config=""):
        self.folder = tempfile.mkdtemp(prefix="reader-")
        self.server = servers.Server(self.folder, "n1", config)
        self.server.start()
        self.script = os.path.join(self.folder, "reader.py")
        with open(self.script, "w") as file:
            file.write(next(b for b in talk.page_blocks(PAGE) if b.startswith("#!")))
        self.readers = []

    def read(self, *arguments):
        reader = subprocess.Popen([sys.executable, self.script, "127.0.0.1", str(self.server.port),
                                   *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  preexec_fn=servers.die_with_parent)
        self.readers.append(reader)
        return reader

    def end(self):
        for reader in self.readers:
            reader.kill()
            reader.communicate()
        self.server.process.kill()
        self.server.process.wait()
        shutil.rmtree(self.folder)

    def ledgerbox(self, *arguments, data=b""):
        environment = dict(os.environ, XDG_STATE_HOME=os.path.join(self.folder, "state"))
        return subprocess.run([PROGRAM, *arguments], cwd=self.folder, env=environment, input=data,
                              stdout=subprocess.PIPE, check=True).stdout

    def events(self):
        """Lines of a real ledger as they are sent: without their position."""
        self.ledgerbox("init", "--node", "store-a", "-q")
        lines = b"".join(b'{"type":"counted","stream":"product/s\xc3\xbc-%d","payload":{"n":%d}}\n'
                         % (i, i) for i in range(5))
        self.ledgerbox("append", "-d", "inventory", data=lines)
        out = []
        for line in self.ledgerbox("tail", "-n", "all", "--format", "json").splitlines(True):
            position = b'"position":%d,' % json.loads(line)["position"]
            assert position in line
            out.append(line.replace(position, b"", 1))
        return out


def make_stream(client):
    made = client.ask("STREAM.CREATE." + STREAM, name=STREAM, storage="file",
                      subjects=["ledger.events.inventory.*"])
    assert "error" not in made, made


def it_prints_what_is_stored_and_what_comes(stage):
    client = talk.Client(stage.server.port)
    make_stream(client)
    events = stage.events()
    client.request(SUBJECT, b"".join(events[:3]))
    reader = stage.read(STREAM)
    assert [reader.stdout.readline() for _ in range(3)] == events[:3]
    client.request(SUBJECT, events[3])
    client.request(SUBJECT, events[4])
    assert [reader.stdout.readline() for _ in range(2)] == events[3:]
    assert reader.poll() is None


def it_says_who_it_is(stage):
    client = talk.Client(stage.server.port, **{"user": "ada", "pass": "s3cret"})
    make_stream(client)
    events = stage.events()
    client.request(SUBJECT, events[0])
    assert stage.read(STREAM, "ada", "s3cret").stdout.readline() == events[0]
    refused = stage.read(STREAM, "ada", "wrong")
    assert b"Authorization" in refused.communicate(timeout=servers.PATIENCE)[1]
    assert refused.returncode == 1


def it_ends_where_there_is_no_stream(stage):
    reader = stage.read("ledger-nothing")
    assert b"stream not found" in reader.communicate(timeout=servers.PATIENCE)[1]
    assert reader.returncode == 1


def it_is_short(stage):
    with open(stage.script) as file:
        assert len(file.readlines()) <= 24


USER = 'authorization: {user: ada, password: "s3cret"}\n'
TESTS = [(it_prints_what_is_stored_and_what_comes, ""), (it_says_who_it_is, USER),
         (it_ends_where_there_is_no_stream, ""), (it_is_short, "")]


def main():
    failed = 0
    signal.alarm(4 * servers.PATIENCE)  # a reader that says nothing
    print("1..%d" % len(TESTS))
    for number, (test, config) in enumerate(TESTS, 1):
        stage = Stage(config)
        try:
            test(stage)
            verdict = "ok"
        except (AssertionError, OSError, subprocess.SubprocessError, RuntimeError, KeyError):
            traceback.print_exc(file=sys.stdout)
            failed += 1
            verdict = "not ok"
        finally:
            stage.end()
        print("%s %d %s" % (verdict, number, test.__name__), flush=True)
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
