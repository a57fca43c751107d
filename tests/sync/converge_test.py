#!/usr/bin/env python3
"""converge - nodes with daemons and a real server: whatever happens, their ledgers become equal."""
import os
import shutil
import sys
import tempfile
import traceback

from nodes import Node, wait_for, wait_until_level
from servers import Server


class Stage:
    def __init__(self, names, servers=1):
        self.folder = tempfile.mkdtemp(prefix="converge.")
        self.servers = [Server(self.folder, "nats%d" % i) for i in range(1, servers + 1)]
        for server in self.servers:
            server.start()
        self.ports = [server.port for server in self.servers]
        self.nodes = [Node(self.folder, name, self.ports) for name in names]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for node in self.nodes:
            node.kill()
        for server in self.servers:
            if server.process.poll() is None:
                server.process.kill()
                server.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def serve(self):
        for node in self.nodes:
            node.serve()

    def verify(self):
        for node in self.nodes:
            node.run("verify")


def two_nodes_become_equal():
    with Stage(["a", "b"]) as stage:
        a, b = stage.nodes
        answered = a.append(300)
        stage.serve()
        wait_until_level(stage.nodes)
        answered += a.append(5) + b.append(1000) + b.append(3, "orders")
        wait_until_level(stage.nodes)
        for node in stage.nodes:
            assert set(answered) <= node.hashes(), node.name
            node.stop()
        stage.verify()


TESTS = [two_nodes_become_equal]


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
