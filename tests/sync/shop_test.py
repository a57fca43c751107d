#!/usr/bin/env python3
"""shop - a day of three stores (tests/data/shop) on three nodes with a real server: what it comes to is
on every node what plain arithmetic makes of the same script."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import traceback

from nodes import PROGRAM, Node, wait_until_level
from servers import Server

HERE = os.path.dirname(os.path.realpath(__file__))
SHOP = os.path.join(HERE, "..", "data", "shop")
STORES = ["north", "south", "east"]
LIMIT = 600


class Stage:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="shop.")
        self.server = Server(self.folder, "nats1")
        self.server.start()
        os.symlink(PROGRAM, os.path.join(self.folder, "ledgerbox"))
        with open(os.path.join(SHOP, "shop.yaml")) as file:
            config = file.read()
        self.nodes = [Node(self.folder, name, [self.server.port], config) for name in STORES]
        for node in self.nodes:
            for name in ("shop", "totals", "less.jq"):
                shutil.copy(os.path.join(SHOP, name), node.path(name))
            node.environment.update(LEDGERBOX_CONFIG="nodes.yaml",
                                    PATH=self.folder + ":" + node.environment["PATH"])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for node in self.nodes:
            node.kill()
        self.server.process.kill()
        self.server.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def day(self):
        """All three at once, each in its own order; what was refused."""
        at_work = []
        for node in self.nodes:
            with open(os.path.join(SHOP, "deeds")) as deeds:
                at_work.append(subprocess.Popen(["./shop", node.name], cwd=node.folder, text=True,
                                                env=node.environment, stdin=deeds,
                                                stdout=subprocess.PIPE, stderr=subprocess.PIPE))
        refused = []
        try:
            for node, store in zip(self.nodes, at_work):
                out, said = store.communicate(timeout=LIMIT)
                assert store.returncode == 0, (node.name, store.returncode, said)
                refused += out.splitlines()
        finally:
            for store in at_work:
                store.kill()
                store.wait()
        return refused


def totals(node):
    return subprocess.run(["./totals"], cwd=node.folder, env=node.environment, check=True, text=True,
                          capture_output=True).stdout.splitlines()


def computed():
    lines = subprocess.run([os.path.join(SHOP, "totals.awk"), os.path.join(SHOP, "deeds")], text=True,
                           check=True, capture_output=True).stdout.splitlines()
    return sorted(line for line in lines if "refused" in line), \
        sorted(line for line in lines if "refused" not in line)


def events(node):
    out = node.run("tail", "-n", "all", "--format", "json", "-d", "shop").stdout
    return sorted((json.loads(line) for line in out.splitlines()),
                  key=lambda e: (e["clock"], e["origin"], e["epoch"]))


def a_day_of_three_stores_comes_to_what_arithmetic_says_on_every_node():
    refused, expected = computed()
    assert refused and len(expected) > 10, (refused, expected)
    with Stage() as stage:
        for node in stage.nodes:
            node.serve()
        assert sorted(stage.day()) == refused
        wait_until_level(stage.nodes)
        for node in stage.nodes:
            assert sorted(totals(node)) == expected, (node.name, totals(node), expected)
        mug = {e["origin"] for e in events(stage.nodes[0]) if e["stream"] == "product/mug"}
        assert mug == {"north", "south"}, mug  # both have owned it, nobody else wrote
        # The whole day once more: each deed has its key, so that nothing happens twice.
        before = events(stage.nodes[0])
        assert sorted(stage.day()) == refused
        wait_until_level(stage.nodes)
        for node in stage.nodes:
            assert events(node) and [e["hash"] for e in events(node)] == [e["hash"] for e in before]
            assert sorted(totals(node)) == expected, node.name
            node.stop()
            node.run("verify")


TESTS = [a_day_of_three_stores_comes_to_what_arithmetic_says_on_every_node]


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
