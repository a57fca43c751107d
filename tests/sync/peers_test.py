#!/usr/bin/env python3
"""peers - verify --peers and recover, with real servers and daemons: what peers hold is found, and taken back."""
import json
import os
import shutil
import sqlite3
import sys
import traceback

from converge_test import Stage, put_back
from nodes import wait_for, wait_until_level


def keep_state(node):
    """All of the machine, to be put back later."""
    shutil.copytree(node.folder, node.folder + ".before", symlinks=True)


def two_level(stage, n=20):
    a, b = stage.nodes[:2]
    stage.serve()
    a.append(n)
    b.append(3, "orders")
    wait_until_level(stage.nodes)
    return a, b


def tamper(node):
    """An event changed by somebody without the key."""
    with sqlite3.connect(node.path("ledger.db")) as file:
        file.executescript("drop trigger event_no_update; update event set payload = '{\"n\":99}' where position = 3")


def report_of(node, *words, expect):
    done = node.run("verify", "--peers", "--format", "json", *words, expect=expect)
    return json.loads(done.stdout.splitlines()[-1])


# --- verify --peers

def a_ledger_that_peers_have_too_is_verified_and_proven():
    with Stage(["a", "b", "c"]) as stage:
        a, b = two_level(stage)
        said = a.run("verify", "--peers").stdout
        assert "peers asked: b, c" in said.replace("c, b", "b, c"), said
        assert "proven by a peer: 2 of 2 chains" in said and "not proven" not in said, said
        report = report_of(a, expect=0)
        assert sorted(report["peers"]["asked"]) == ["b", "c"] and report["status"] == "ok", report
        assert all(c["proven"] == c["sequence"] for c in report["peers"]["chains"]), report
        # The same beside its own daemon, and without one.
        a.stop()
        assert "proven by a peer: 2 of 2 chains" in a.run("verify", "--peers").stdout


def what_no_peer_has_is_named():
    with Stage(["a", "b"]) as stage:
        a, b = two_level(stage)
        a.stop()
        a.append(5)
        a.append(2, "other")
        said = a.run("verify", "--peers").stdout
        assert "proven by a peer: 1 of 3 chains" in said, said
        assert "/inventory (to 20 of 25)" in said and "/other" in said, said
        chains = report_of(a, expect=0)["peers"]["chains"]
        assert {c["proven"] for c in chains} == {20, 3, 0}, chains


def a_peer_that_is_known_and_silent_is_named():
    with Stage(["a", "b", "c"]) as stage:
        a, b = two_level(stage)
        wait_for("c's heads", lambda: "c" in a.run("status").stdout and json.loads(
            a.run("verify", "--peers", "--format", "json").stdout)["peers"]["asked"].count("c"))
        stage.nodes[2].stop()
        said = a.run("verify", "--peers", "--within", "3s").stdout
        assert "peers asked: b" in said and "no answer: c" in said, said


def an_older_state_of_the_whole_machine_is_found():
    with Stage(["a", "b"]) as stage:
        a, b = two_level(stage)
        a.stop()
        keep_state(a)
        a.serve()
        a.append(30)
        wait_until_level(stage.nodes)
        a.stop()
        newest = [line.split() for line in a.chains() if "inventory" in line][0]
        put_back(a)
        a.run("verify")
        said = a.run("verify", "--peers", expect=3)
        here = [line.split() for line in a.chains() if "inventory" in line][0]
        line = [x for x in said.stdout.splitlines() if x.startswith("PEER_AHEAD")][0]
        assert newest[3:] == ["50", newest[4]] and here[3] == "20"
        for word in ("a/%s/inventory/50" % here[1], "b has event 50", newest[4], here[4]):
            assert word in line, line
        assert "recover" in said.stderr, said.stderr
        (problem,) = report_of(a, expect=3)["problems"]
        assert (problem["code"], problem["peer"], problem["sequence"], problem["last"]) == \
            ("PEER_AHEAD", "b", 50, 20), problem
        assert (problem["there"], problem["here"]) == (newest[4], here[4]), problem


def rewritten(n):
    """Events 21 to 50 are with b; here are others, n of them, from 21 on."""
    with Stage(["a", "b"]) as stage:
        a, b = two_level(stage)
        a.stop()
        keep_state(a)
        a.serve()
        a.append(30)
        wait_until_level(stage.nodes)
        a.stop()
        put_back(a)
        a.append(n)
        a.run("verify")
        said = a.run("verify", "--peers", expect=3)
        (problem,) = report_of(a, expect=3)["problems"]
        assert (problem["code"], problem["peer"], problem["sequence"]) == ("PEER_DIFFERS", "b", 21), problem
        place = problem["place"]
        there = json.loads(b.run("show", place, "--format", "json").stdout)["hash"]
        here = json.loads(a.run("show", place, "--format", "json").stdout)["hash"]
        assert (problem["there"], problem["here"]) == (there, here) and there != here, problem
        assert "PEER_DIFFERS (%s): b has event 21" % place in said.stdout, said.stdout
        # What is not asked for is not compared.
        a.run("verify", "--peers", "--domain", "orders")


def a_rewrite_with_the_key_is_found_where_the_peer_is_as_deep():
    rewritten(30)


def a_rewrite_with_the_key_is_found_where_the_peer_is_deeper():
    rewritten(4)


def a_rewrite_with_the_key_is_found_where_the_peer_is_shallower():
    rewritten(60)


def without_peers_or_server_verify_says_21_and_that_the_ledger_is_well():
    with Stage(["a"]) as stage:
        a = stage.nodes[0]
        a.append(5)
        said = a.run("verify", "--peers", "--within", "1s", expect=21)
        assert "verified events 1..5 of 5" in said.stdout and "0 of 1 nodes answered" in said.stdout, said
        assert "serve-sync running on the other nodes" in said.stderr, said.stderr
        stage.servers[0].end(15)
        said = a.run("verify", "--peers", "--within", "1s", expect=21)
        assert "no NATS server could be reached" in said.stderr, said.stderr
        report = report_of(a, "--within", "1s", expect=21)
        assert report["status"] == "unreachable" and report["complete"] and report["peers"]["error"], report
        # Damage here is damage, whoever answers.
        tamper(a)
        a.run("verify", "--peers", "--within", "1s", expect=3)


TESTS = [
    a_ledger_that_peers_have_too_is_verified_and_proven,
    what_no_peer_has_is_named,
    a_peer_that_is_known_and_silent_is_named,
    an_older_state_of_the_whole_machine_is_found,
    a_rewrite_with_the_key_is_found_where_the_peer_is_as_deep,
    a_rewrite_with_the_key_is_found_where_the_peer_is_deeper,
    a_rewrite_with_the_key_is_found_where_the_peer_is_shallower,
    without_peers_or_server_verify_says_21_and_that_the_ledger_is_well,
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
