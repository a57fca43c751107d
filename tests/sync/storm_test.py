#!/usr/bin/env python3
"""storm - three nodes, two servers, and whatever goes wrong, drawn from a seed.

usage: storm_test.py [--seed N] [--schedules N] [--seconds N]

After each schedule everything is let run again. Then all heads must be equal, every answered event
on every node, and every ledger must verify.
"""
import argparse
import os
import random
import signal
import sys
import tempfile
import shutil
import time
import traceback

from nodes import Node, wait_until_level
from servers import Server
from talk import Client

STEPS = 25
DOMAINS = ["inventory", "orders"]


class Storm:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.folder = tempfile.mkdtemp(prefix="storm.")
        self.servers = [Server(self.folder, "nats%d" % i) for i in (1, 2)]
        for server in self.servers:
            server.start()
        ports = [server.port for server in self.servers]
        self.nodes = [Node(self.folder, name, ports) for name in ("a", "b", "c")]
        self.answered = set()
        self.done = []

    def end(self):
        for node in self.nodes:
            node.kill()
        for server in self.servers:
            if server.process.poll() is None:
                server.process.kill()
                server.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- What happens

    def node(self):
        return self.random.choice(self.nodes)

    def server(self):
        return self.random.choice(self.servers)

    def append(self):
        n = self.random.choice([1, 5, 50, 300])
        self.answered |= set(self.node().append(n, self.random.choice(DOMAINS)))

    def kill_daemon(self):
        self.node().kill()

    def start_daemon(self):
        node = self.node()
        if not node.is_running():
            node.serve()

    def pause_daemon(self):
        node = self.node()
        if node.is_running():
            node.process.send_signal(signal.SIGSTOP)

    def resume_daemon(self):
        node = self.node()
        if node.is_running():
            node.process.send_signal(signal.SIGCONT)

    def kill_server(self):
        server = self.server()
        if server.process.poll() is None:
            server.signal(signal.SIGCONT)
            server.end(signal.SIGKILL)

    def wipe_server(self):
        server = self.server()
        if server.process.poll() is None:
            server.signal(signal.SIGCONT)
            server.end(signal.SIGKILL)
        server.wipe()

    def start_server(self):
        server = self.server()
        if server.process.poll() is not None:
            server.start()

    def cut_block(self):
        """The tail of what a server has stored is gone, as after a power loss."""
        server = self.server()
        self.stop(server)
        for folder, _, files in os.walk(server.path("js")):
            for name in files:
                if name.endswith(".blk"):
                    path = os.path.join(folder, name)
                    os.truncate(path, os.path.getsize(path) // 2)

    def flip_bit(self):
        server = self.server()
        self.stop(server)
        for folder, _, files in os.walk(server.path("js")):
            for name in files:
                path = os.path.join(folder, name)
                if name.endswith(".blk") and os.path.getsize(path):
                    with open(path, "r+b") as file:
                        file.seek(self.random.randrange(os.path.getsize(path)))
                        byte = file.read(1)
                        file.seek(-1, 1)
                        file.write(bytes([byte[0] ^ 1 << self.random.randrange(8)]))

    @staticmethod
    def stop(server):
        if server.process.poll() is None:
            server.signal(signal.SIGCONT)
            server.end(signal.SIGKILL)

    def talk(self, *lines):
        server = self.server()
        if server.process.poll() is None:
            client = Client(server.port)
            for subject, data in lines:
                client.publish(subject, data)
            client.settle()
            client.socket.close()

    def delete_stream(self):
        self.talk(("$JS.API.STREAM.DELETE.ledger-" + self.random.choice(DOMAINS), b""))

    def delete_consumers(self):
        lines = []
        for node in self.nodes:
            for line in node.chains():
                words = line.split()
                if words[0] == node.name:
                    lines += [("$JS.API.CONSUMER.DELETE.ledger-%s.%s-%s" %
                               (domain, node.name, words[1]), b"") for domain in DOMAINS]
        self.talk(*lines)

    def inject(self):
        """What no node has sent: nonsense, and an event with another payload."""
        domain = self.random.choice(DOMAINS)
        subject = "ledger.events.%s.%s" % (domain, self.node().name)
        out = self.node().run("tail", "-n", "1", "--format", "json", "--domain", domain).stdout
        forged = out.replace('"payload":{"n":', '"payload":{"n":9').encode()
        position = forged.find(b',"position"')
        self.talk((subject, b"nonsense\n"), (subject, b"\x00\xff" * 100),
                  (subject, forged if position < 0 else forged[:position] + b"}\n"),
                  ("ledger.sync.heads", b'{"v":1}\n{"key":"hs256-0","mac":"00"}\n'),
                  ("ledger.sync.range.a", b'{"v":1,"origin":"a"}'))

    def rest(self):
        time.sleep(self.random.random() * 0.4)

    def run(self):
        actions = [self.append] * 8 + [self.rest] * 3 + [self.start_daemon, self.start_server] * 3
        actions += [self.kill_daemon] * 3 + [self.pause_daemon, self.resume_daemon,
                    self.kill_server, self.wipe_server, self.cut_block, self.flip_bit,
                    self.delete_stream, self.delete_consumers, self.inject]
        for node in self.nodes:
            node.serve()
        for _ in range(STEPS):
            action = self.random.choice(actions)
            self.done.append(action.__name__)
            action()
        self.settle()

    def settle(self):
        for server in self.servers:
            if server.process.poll() is not None:
                server.start()
        for node in self.nodes:
            if node.is_running():
                node.process.send_signal(signal.SIGCONT)
            else:
                node.serve()
        wait_until_level(self.nodes)
        for node in self.nodes:
            missing = self.answered - node.hashes()
            if missing:
                raise AssertionError("%s lacks %d answered events" % (node.name, len(missing)))
        for node in self.nodes:
            node.stop()
            node.run("verify")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--schedules", type=int, default=1000000)
    parser.add_argument("--seconds", type=int, default=40)
    options = parser.parse_args()
    deadline = time.monotonic() + options.seconds
    passed = 0
    for seed in range(options.seed, options.seed + options.schedules):
        storm = Storm(seed)
        try:
            storm.run()
            passed += 1
        except Exception:  # whatever it is, the seed must be said
            print("not ok 1 - seed %d: %s" % (seed, " ".join(storm.done)))
            print("# " + traceback.format_exc().replace("\n", "\n# "))
            print("1..1")
            sys.exit(1)
        finally:
            storm.end()
        if time.monotonic() > deadline:
            break
    print("ok 1 - %d schedules, seeds from %d" % (passed, options.seed))
    print("1..1")


if __name__ == "__main__":
    os.chdir(os.path.dirname(os.path.realpath(__file__)) + "/../..")
    main()
