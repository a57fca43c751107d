#!/usr/bin/env python3
"""heads - statements of heads from a node that is made up: what is believed, kept, and what is not."""
import os
import sqlite3
import sys
import threading
import traceback

import forge
from converge_test import Stage
from nodes import wait_for
from talk import Client

SUBJECT = "ledger.sync.heads"


class Speaker:
    """A node z that is no daemon, beside node a of a stage."""

    def __init__(self, stage):
        self.a = stage.nodes[0]
        self.client = Client(stage.servers[0].port)
        self.client.subscribe(SUBJECT)
        with open(self.a.path("ledger.key"), encoding="ascii") as file:
            self.key = bytes.fromhex(file.read().strip())
        self.counter = 1 << 40

    def say(self, *said, **more):
        self.counter += 1
        self.client.publish(SUBJECT, forge.heads(self.key, "z", 1, said, **{
            "counter": self.counter, **more}))

    def wait_until_heard(self):
        """Twice: a statement may have been on its way when what was said came in."""
        for _ in range(2):
            self.client.settle()
            self.client.messages.clear()
            self.client.publish(SUBJECT, forge.ask(self.key, "z"))
            while b'"node":"a"' not in self.client.wait(SUBJECT)[2]:
                pass

    def kept(self):
        """Sequences of the heads that a has written down for z."""
        with sqlite3.connect("file:%s?mode=ro" % self.a.path("ledger.db"), uri=True) as file:
            return [row[0] for row in file.execute("SELECT sequence FROM peer_head WHERE node = 'z'")]


def head(node, sequence):
    """An event that is there, as a head."""
    with sqlite3.connect("file:%s?mode=ro" % node.path("ledger.db"), uri=True) as file:
        hash_of, epoch = file.execute(
            "SELECT lower(hex(e.hash)), c.epoch FROM event AS e JOIN chain AS c ON c.id = e.chain JOIN "
            "domain AS d ON d.id = c.domain WHERE d.name = 'inventory' AND e.sequence = ?",
            (sequence,)).fetchone()
    return {"origin": node.name, "epoch": epoch, "domain": "inventory", "sequence": sequence,
            "hash": hash_of}


UNKNOWN = {"origin": "q", "epoch": 1, "domain": "inventory", "sequence": 5, "hash": "ab" * 32}


def a_statement_that_a_held_lock_kept_out_is_kept_with_the_next_one():
    with Stage(["a"]) as stage:
        a = stage.nodes[0]
        a.append(2)
        a.serve("--timeout", "100ms")
        wait_for("a connection", lambda: "event=receiving" in a.log())
        z = Speaker(stage)
        z.say(head(a, 1))
        wait_for("the first", lambda: z.kept() == [1])
        lock = sqlite3.connect(a.path("ledger.db"), isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        z.say(head(a, 2))
        z.wait_until_heard()
        assert z.kept() == [1]
        lock.execute("ROLLBACK")
        z.say(head(a, 2))
        wait_for("the same words", lambda: z.kept() == [2], 5)


def a_node_whose_clock_is_behind_after_a_restart_is_believed_and_its_old_words_are_not():
    with Stage(["a"]) as stage:
        a = stage.nodes[0]
        a.append(3)
        a.serve()
        wait_for("a connection", lambda: "event=receiving" in a.log())
        z = Speaker(stage)
        z.say(head(a, 1), boot=7, counter=1 << 50)
        wait_for("the first run", lambda: z.kept() == [1])
        z.say(head(a, 3), boot=8, counter=5)
        wait_for("the second run", lambda: z.kept() == [3])
        a.stop()
        a.serve()
        wait_for("a connection", lambda: a.log().count("event=receiving") >= 4)
        z.say(head(a, 1), boot=7, counter=1 << 50)
        z.wait_until_heard()
        assert z.kept() == [3]


def once(a, z, *parts):
    """serve-sync --once --peers 1 while these parts are said again and again."""
    done = threading.Event()

    def speak():
        while not done.wait(0.2):
            for part in parts:
                z.say(*part[0], **part[1])

    thread = threading.Thread(target=speak)
    thread.start()
    try:
        return a.run("serve-sync", "--once", "--peers", "1", "--within", "4s", expect=None).returncode
    finally:
        done.set()
        thread.join()


def a_node_is_level_when_nothing_of_all_parts_is_missing():
    with Stage(["a"]) as stage:
        a = stage.nodes[0]
        a.append(2)
        z = Speaker(stage)
        here = head(a, 2)
        assert once(a, z, ([here], {"part": 0, "more": True}), ([here], {"part": 1})) == 0
        assert once(a, z, ([here], {})) == 0
        assert once(a, z, ([UNKNOWN], {"part": 0, "more": True}), ([here], {"part": 1})) == 21
        # The part that was lost may have named what is missing.
        assert once(a, z, ([here], {"part": 1})) == 21


TESTS = [
    a_statement_that_a_held_lock_kept_out_is_kept_with_the_next_one,
    a_node_whose_clock_is_behind_after_a_restart_is_believed_and_its_old_words_are_not,
    a_node_is_level_when_nothing_of_all_parts_is_missing,
]


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
