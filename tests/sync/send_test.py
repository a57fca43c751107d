#!/usr/bin/env python3
"""send - two nodes and a real server: commands find the owner of a stream, and come back with its answer."""
import json
import os
import shutil
import socket
import sys
import tempfile
import time
import traceback

from nodes import Node, wait_for, wait_until_level
from servers import Server

HERE = os.path.dirname(os.path.realpath(__file__))
CONFIG = """domains: {"*": {propagate: true, subscribe: true}}
stream_types: {product: {domain: inventory, owned: true}}
commands:
  - {stream_type: product, command: price, exec: [./pricer], state: true, timeout: 20s}
  - {stream_type: product, command: slow, exec: [./slow], timeout: 60s}
  - {stream_type: product, command: steady, exec: [%s], mode: lines}
""" % os.path.join(os.path.dirname(os.environ.get("LEDGERBOX_BIN", HERE + "/../../build/cmd/x")),
                   "../tests/pricer")
PRICER = """#!/bin/sh
read -r line
echo run >> runs
echo '{"type":"priced","payload":{"price":9}}'
echo '{"result":{"by":"'$(basename "$PWD")'"}}'
"""
SLOW = """#!/bin/sh
while [ ! -e go ]; do sleep 0.1; done
echo '{"type":"slow","payload":1}'
"""


class Stage:
    def __init__(self, names):
        self.folder = tempfile.mkdtemp(prefix="send.")
        self.server = Server(self.folder, "nats1")
        self.server.start()
        self.nodes = [Node(self.folder, name, [self.server.port], CONFIG) for name in names]
        for node in self.nodes:
            for name, text in (("pricer", PRICER), ("slow", SLOW)):
                with open(os.open(node.path(name), os.O_WRONLY | os.O_CREAT, 0o755), "w") as file:
                    file.write(text)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for node in self.nodes:
            node.kill()
        if self.server.process.poll() is None:
            self.server.process.kill()
            self.server.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def begin(self, streams=("product/1",)):
        """The last node owns the streams, and the others know."""
        for stream in streams:
            self.nodes[-1].run("append", "--create", "-d", "inventory", "-t", "made", "-s", stream, "1")
        for node in self.nodes:
            node.serve()
        wait_until_level(self.nodes)


def send(node, *words, expect=0, lines=None):
    out = node.run("send", "--format", "json", *words, expect=expect, lines=lines)
    return [json.loads(line) for line in out.stdout.splitlines()], out.stderr


def runs(node):
    try:
        with open(node.path("runs")) as file:
            return len(file.readlines())
    except FileNotFoundError:
        return 0


def count(node, what):
    return json.loads(node.run("status", "--format", "json").stdout)["commands"].get(what, 0)


def a_command_is_executed_by_the_owner_and_answered():
    with Stage(["a", "b"]) as stage:
        a, b = stage.nodes
        stage.begin()
        answers, _ = send(a, "--once", "x", "product/1", "price")
        first = answers[0]
        assert first["status"] == "ok" and first["node"] == "b", first
        assert first["result"] == {"by": "b"} and len(first["events"]) == 1, first
        again = send(a, "--once", "x", "product/1", "price")[0][0]
        assert again["repeated"] and again["events"] == first["events"], again
        assert runs(b) == 1 and runs(a) == 0
        wait_until_level(stage.nodes)
        # The same at the owner itself, and known there too.
        assert send(b, "--once", "x", "product/1", "price")[0][0]["repeated"]
        assert send(a, "product/1", "nothing", expect=12)[0][0]["status"] == "invalid"
        assert count(b, "executed") == 1 and count(b, "repeated") == 2
        b.run("append", "-t", "priced", "-s", "product/1", "2")
        place = a.run("append", "--at-owner", "-t", "priced", "-s", "product/1", "3", "--format", "json")
        last = json.loads(b.run("tail", "-n", "1", "--format", "json").stdout)
        assert json.loads(place.stdout)["hash"] == last["hash"] and last["origin"] == "b"


def without_the_owners_daemon_it_is_unreachable_at_once_and_stored_with_async():
    with Stage(["a", "b"]) as stage:
        a, b = stage.nodes
        stage.begin()
        b.stop()
        start = time.monotonic()
        _, said = send(a, "--timeout", "60s", "product/1", "price", expect=21)
        assert "nobody answers for b" in said and time.monotonic() - start < 30, said
        stored = send(a, "--async", "product/1", "price")[0][0]
        assert stored["stored"] and stored["node"] == "b", stored
        _, said = send(a, "--status", stored["id"], expect=21)
        b.serve()
        wait_for("the stored command", lambda: runs(b) == 1)
        wait_for("its answer", lambda: a.run("send", "--status", stored["id"], expect=None).returncode == 0)
        b.stop()
        b.serve()
        wait_for("the daemon", lambda: a.run("send", "product/1", "price", expect=None).returncode == 0)
        assert runs(b) == 2


def a_slow_handler_does_not_hold_up_the_daemon_and_a_timeout_names_the_command():
    with Stage(["a", "b"]) as stage:
        a, b = stage.nodes
        stage.begin(["product/1", "product/2"])
        _, said = send(a, "--once", "s", "--timeout", "1s", "product/1", "slow", expect=31)
        name = json.loads(said.splitlines()[-1])["id"]
        answered = b.append(10)
        send(a, "product/2", "price")
        wait_until_level(stage.nodes)
        assert set(answered) <= a.hashes()
        with open(b.path("go"), "w"):
            pass
        wait_for("its answer", lambda: a.run("send", "--status", name, expect=None).returncode == 0)
        assert send(a, "--once", "s", "product/1", "slow")[0][0]["repeated"]
        assert count(a, "unanswered") == 1


def many_are_under_way_at_a_time_and_each_is_executed_once():
    streams = ["product/%d" % i for i in range(8)]
    with Stage(["a", "b"]) as stage:
        a, b = stage.nodes
        stage.begin(streams)
        lines = "".join('{"stream":"product/%d","command":"steady","once":"%d"}\n' % (i % 8, i // 2)
                        for i in range(400))
        answers, _ = send(a, lines=lines)
        assert len(answers) == 400 and all(x["status"] == "ok" for x in answers)
        events = b.run("tail", "-n", "all", "--format", "json", "-t", "price_updated").stdout.splitlines()
        distinct = {(i % 8, i // 2) for i in range(400)}
        assert len(events) == len(distinct), (len(events), len(distinct))
        wait_until_level(stage.nodes)
        b.run("verify")


def words(folder, port, line, subject, reply=False):
    """Speaks NATS by hand: publishes bytes, and waits for an answer where one is asked for."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as s:
        file = s.makefile("rb")
        file.readline()
        s.sendall(b"CONNECT {\"verbose\":false,\"pedantic\":false}\r\nSUB _INBOX.x 1\r\n")
        s.sendall(b"PUB %s _INBOX.x %d\r\n%s\r\nPING\r\n" % (subject.encode(), len(line), line))
        while True:
            got = file.readline()
            if got.startswith(b"MSG"):
                return file.read(int(got.split()[-1]))
            if got.startswith(b"PONG") and not reply:
                return None
            if not got or got.startswith(b"-ERR"):
                return got


def listen(port, subject):
    s = socket.create_connection(("127.0.0.1", port), timeout=20)
    file = s.makefile("rb")
    file.readline()
    s.sendall(b"CONNECT {\"verbose\":false,\"pedantic\":false}\r\nSUB %s 1\r\nPING\r\n" % subject.encode())
    while not file.readline().startswith(b"PONG"):
        pass
    return s, file


def forged_and_replayed_commands_execute_nothing():
    with Stage(["a", "b"]) as stage:
        a, b = stage.nodes
        stage.begin()
        sock, file = listen(stage.server.port, "ledger.commands.>")
        send(a, "--once", "r", "product/1", "price")
        while not (head := file.readline()).startswith(b"MSG"):
            pass
        command = file.read(int(head.split()[-1]))
        sock.close()
        assert runs(b) == 1
        to_b = "ledger.commands.product.b"
        # Replayed: the same answer, and nothing executed. Sent to another node: not its own.
        reply = words(stage.folder, stage.server.port, command, to_b, reply=True)
        assert b'"repeated":true' in reply, reply
        words(stage.folder, stage.server.port, command, "ledger.commands.product.a")
        # Forged: another content, another key, no MAC, garbage.
        for bad in (command.replace(b'"price"', b'"slowy"'), command.replace(b'"mac":"', b'"mac":"0'),
                    command.split(b"\n")[0], b"\x00\xff" * 1000, b"", b"{}\n{}", b"[" * 100000):
            words(stage.folder, stage.server.port, bad, to_b)
        wait_for("them to be counted", lambda: count(b, "forged") == 7)
        wait_for("that of another node", lambda: count(a, "forged") == 1)
        assert runs(b) == 1 and b.is_running()


def commands_to_a_node_that_does_not_own_the_stream_are_refused():
    with Stage(["a", "b"]) as stage:
        a, b = stage.nodes
        stage.begin()
        a.run("own", "accept", "product/1", expect=None)
        b.run("own", "transfer", "product/1", "a")
        wait_until_level(stage.nodes)
        answers, _ = send(b, "product/1", "price", expect=20)
        a.run("own", "accept", "product/1")
        wait_for("the transfer", lambda: '"a"' in a.run("own", "show", "product/1", "--format", "json").stdout
                 and a.run("send", "product/1", "price", expect=None).returncode == 0)
        assert runs(a) == 1 and runs(b) == 0
        wait_until_level(stage.nodes)
        assert send(b, "product/1", "price")[0][0]["node"] == "a"


TESTS = [a_command_is_executed_by_the_owner_and_answered,
         without_the_owners_daemon_it_is_unreachable_at_once_and_stored_with_async,
         a_slow_handler_does_not_hold_up_the_daemon_and_a_timeout_names_the_command,
         many_are_under_way_at_a_time_and_each_is_executed_once,
         forged_and_replayed_commands_execute_nothing,
         commands_to_a_node_that_does_not_own_the_stream_are_refused]


def main():
    wanted = [t for t in TESTS if len(sys.argv) < 2 or t.__name__ in sys.argv[1:]]
    failed = 0
    print("1..%d" % len(wanted))
    for i, test in enumerate(wanted, 1):
        try:
            test()
            print("ok %d %s" % (i, test.__name__), flush=True)
        except Exception:  # whatever it is, the others run
            failed += 1
            print("not ok %d %s" % (i, test.__name__))
            print("# " + traceback.format_exc().replace("\n", "\n# "), flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    os.chdir(os.path.dirname(os.path.realpath(__file__)) + "/../..")
    main()
