#!/usr/bin/env python3
"""peers - verify --peers and recover, with real servers and daemons: what peers hold is found, and taken back."""
import hmac
import json
import os
import shutil
import sqlite3
import sys
import threading
import time
import traceback

import talk
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


# --- recover

def restored(stage, lost=30):
    """a, put back from a backup as another file; what it recorded since is with b."""
    a, b = two_level(stage)
    a.run("backup", "old.db")
    answered = a.append(lost)
    wait_until_level(stage.nodes)
    a.stop()
    for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm"):
        if os.path.exists(a.path(name)):
            os.remove(a.path(name))
    shutil.copy(a.path("old.db"), a.path("ledger.db"))
    a.run("append", "-d", "inventory", "-t", "t", "{}", expect=14)
    return a, b, answered


def files_of(node):
    """What is there, byte for byte; -shm is SQLite's shared memory, which readers write too."""
    content = {}
    for folder, _, names in os.walk(node.folder):
        for name in names:
            if not name.endswith("-shm"):
                with open(os.path.join(folder, name), "rb") as file:
                    content[os.path.join(folder, name)] = file.read()
    return content


def epochs_of(node, origin):
    lines = node.run("tail", "-n", "all", "--format", "json", "--origin", origin).stdout.splitlines()
    return {e["hash"]: e["epoch"] for e in map(json.loads, lines)}


def a_dry_run_says_what_would_come_back_and_changes_nothing():
    with Stage(["a", "b"]) as stage:
        a, _, answered = restored(stage)
        a.run("tail")
        before, old = files_of(a), a.chains()
        report = json.loads(a.run("recover", "--dry-run", "--format", "json").stdout)
        assert report["dry_run"] and report["begun"] and "restored" in report["found"], report
        assert report["peers"] == ["b"] and report["missing"] == 30 == report["left"], report
        (chain,) = report["chains"]
        assert (chain["domain"], chain["from"], chain["to"], chain["peer"]) == ("inventory", 21, 50, "b")
        said = a.run("recover", "--dry-run").stdout
        assert "to be had  30 events" in said and "inventory 21..50 from b" in said, said
        assert files_of(a) == before and a.chains() == old
        a.run("append", "-d", "inventory", "-t", "t", "{}", expect=14)
        assert not set(answered) & a.hashes()


def a_restored_ledger_gets_its_own_events_back_from_peers():
    with Stage(["a", "b"]) as stage:
        a, b, answered = restored(stage)
        old = epochs_of(b, "a")
        said = a.run("recover", "--reason", "disk of Friday").stdout
        assert "taken back 30 of 30 events" in said and "new epoch" in said, said
        assert set(answered) <= a.hashes()
        now = epochs_of(a, "a")
        assert all(now[h] == old[h] for h in answered), "an event changed its epoch"
        new = [h for h in now if h not in old]
        (started,) = new
        assert now[started] > max(old.values())
        shown = json.loads(a.run("tail", "--type", "epoch_started", "--format", "json").stdout)
        assert shown["payload"]["reason"].startswith("disk of Friday; b has event 50"), shown
        a.serve()
        a.append(5)
        wait_until_level(stage.nodes)
        stage.verify()
        assert "proven by a peer" in a.run("verify", "--peers").stdout
        a.stop()
        said = a.run("recover", expect=1)
        assert "nothing" in said.stderr, said.stderr


def offline_begins_the_epoch_alone_and_peers_give_the_rest_later():
    with Stage(["a", "b"]) as stage:
        a, b, answered = restored(stage)
        a.run("recover", "--offline")
        assert not set(answered) & a.hashes()
        epoch = json.loads(a.run("status", "--format", "json").stdout)["epoch"]
        a.append(3)
        report = json.loads(a.run("recover", "--format", "json").stdout)
        assert not report["begun"] and report["left"] == 0 and report["missing"] == 30, report
        assert report["epoch"] == epoch, "another epoch was begun for nothing"
        assert set(answered) <= a.hashes()
        a.serve()
        wait_until_level(stage.nodes)
        stage.verify()


def a_machine_that_was_rolled_back_begins_an_epoch_because_of_what_peers_have():
    with Stage(["a", "b"]) as stage:
        a, b = two_level(stage)
        a.stop()
        keep_state(a)
        a.serve()
        answered = a.append(30)
        wait_until_level(stage.nodes)
        a.stop()
        put_back(a)
        # Alone, nothing is wrong.
        a.run("recover", "--offline", expect=1)
        report = json.loads(a.run("recover", "--format", "json").stdout)
        assert report["begun"] and report["epoch"] > report["old_epoch"] and report["left"] == 0, report
        assert set(answered) <= a.hashes()
        shown = json.loads(a.run("tail", "--type", "epoch_started", "--format", "json").stdout)
        assert "b has event 50 of domain inventory" in shown["payload"]["reason"], shown
        a.serve()
        a.append(5)
        wait_until_level(stage.nodes)
        stage.verify()


def a_node_that_takes_nothing_from_others_gets_its_own_back():
    with Stage(["a", "b"]) as stage:
        a, b = stage.nodes
        a.set_config(stage.ports, 'domains: {"*": {propagate: true}}\n')
        stage.serve()
        a.append(20)
        keep_is = lambda: any(line.startswith("a ") and " 20 " in line for line in b.chains())
        wait_for("a's events on b", keep_is)
        a.run("backup", "old.db")
        answered = a.append(30)
        wait_for("more on b", lambda: set(answered) <= b.hashes())
        a.stop()
        shutil.copy(a.path("old.db"), a.path("other"))
        for name in ("ledger.db-wal", "ledger.db-shm"):
            os.remove(a.path(name))
        os.rename(a.path("other"), a.path("ledger.db"))
        a.run("recover")
        assert set(answered) <= a.hashes()
        a.run("verify")


def without_config_server_or_peer_nothing_changes_and_offline_is_named():
    with Stage(["a", "b"]) as stage:
        a, b, _ = restored(stage)
        a.run("tail")
        before = files_of(a)
        b.stop()
        said = a.run("recover", "--within", "1s", expect=21)
        assert "0 of 1 nodes answered" in said.stderr and "recover --offline" in said.stderr, said.stderr
        b.serve()
        said = a.run("recover", "--peers", "2", "--within", "2s", expect=21)
        assert "1 of 2 nodes" in said.stderr and "--offline" in said.stderr, said.stderr
        stage.servers[0].end(15)
        said = a.run("recover", "--within", "1s", expect=21)
        assert "no NATS server could be reached" in said.stderr and "--offline" in said.stderr, said.stderr
        os.remove(a.path("ledger.db.sync"))
        said = a.run("recover", "--database", "ledger.db", "--key-file", "ledger.key", config=False, expect=2)
        assert "no cluster is configured" in said.stderr and "--offline" in said.stderr, said.stderr
        before.pop(a.path("ledger.db.sync"), None)
        assert files_of(a) == before
        a.run("append", "-d", "inventory", "-t", "t", "{}", expect=14)


def a_daemon_that_runs_is_not_disturbed():
    with Stage(["a", "b"]) as stage:
        a, b = two_level(stage)
        said = a.run("recover", "--force", expect=20)
        assert "another serve-sync runs" in said.stderr and "by itself" in said.stderr, said.stderr
        assert a.is_running()


class Ghost:
    """Says heads that nobody has, and answers no question."""

    def __init__(self, stage, node, key=None):
        with open(node.path("ledger.key")) as file:
            self.key = bytes.fromhex(file.read().strip()) if key is None else key
        self.client = talk.Client(stage.ports[0], node="ghost")
        self.client.subscribe("ledger.sync.heads")
        self.client.settle()

    def say(self, heads):
        now = int(time.time() * 1e6)
        words = json.dumps({"v": 1, "node": "ghost", "epoch": 1, "counter": now, "boot": 1,
                            "heads": heads}, separators=(",", ":")).encode()
        name = "hs256-" + hmac.digest(self.key, b"ledgerbox/keyid/v1", "sha256")[:8].hex()
        mac = hmac.digest(self.key, b"ledgerbox/heads/v1\0" + words, "sha256").hex()
        self.client.publish("ledger.sync.heads", words + b'\n{"key":"%s","mac":"%s"}\n' %
                            (name.encode(), mac.encode()))

    def answer(self, heads):
        """When it is next asked."""
        self.client.wait("ledger.sync.heads")
        self.say(heads)

    def start(self, heads):
        thread = threading.Thread(target=self.answer, args=(heads,), daemon=True)
        thread.start()
        return thread


def heads_that_nobody_can_show_end_with_30_and_a_sound_ledger():
    with Stage(["a"]) as stage:
        a = stage.nodes[0]
        a.append(5)
        origin, epoch, domain = a.chains()[0].split()[:3]
        head = {"origin": origin, "epoch": int(epoch), "domain": domain, "sequence": 99, "hash": "ab" * 32}
        Ghost(stage, a).start([head])
        said = a.run("recover", "--within", "3s", expect=30)
        assert "has begun, but 94 of 94 events" in said.stderr and "serve-sync goes on" in said.stderr, said
        assert "taken back 0 of 94" in said.stdout, said.stdout
        a.append(1)
        a.run("verify")
        # Without the key it says nothing at all.
        Ghost(stage, a, os.urandom(32)).start([head])
        a.run("recover", "--within", "2s", expect=21)
        Ghost(stage, a, os.urandom(32)).start([head])
        a.run("verify", "--peers", "--within", "2s", expect=21)


TESTS = [
    a_dry_run_says_what_would_come_back_and_changes_nothing,
    a_restored_ledger_gets_its_own_events_back_from_peers,
    offline_begins_the_epoch_alone_and_peers_give_the_rest_later,
    a_machine_that_was_rolled_back_begins_an_epoch_because_of_what_peers_have,
    a_node_that_takes_nothing_from_others_gets_its_own_back,
    without_config_server_or_peer_nothing_changes_and_offline_is_named,
    a_daemon_that_runs_is_not_disturbed,
    heads_that_nobody_can_show_end_with_30_and_a_sound_ledger,
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
