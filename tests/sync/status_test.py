#!/usr/bin/env python3
"""status - what `status` says of nodes that converge, or do not: taken from the ledger and from what the
daemon leaves, in all its forms."""
import glob
import json
import os
import pty
import re
import signal
import sqlite3
import subprocess
import sys
import time
import traceback

from converge_test import Stage
from nodes import PROGRAM, wait_for, wait_until_level


def status(node):
    return json.loads(node.run("status", "--format", "json").stdout)


def wrong(node):
    return [w["what"] for w in status(node)["wrong"]]


def note(node):
    return glob.glob(node.path("state/ledgerbox/*.sync"))[0]


def set_back(node, seconds):
    """The daemon's last word was so long ago."""
    with open(note(node), encoding="utf-8") as file:
        state = json.load(file)
    state["written"] = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(time.time() - seconds))
    with open(note(node), "w", encoding="utf-8") as file:
        json.dump(state, file)


def status_tells_what_the_daemon_sees():
    with Stage(["a", "b"]) as stage:
        a, b = stage.nodes
        a.append(30)
        assert wrong(a) == ["daemon"] and status(a)["sync"]["unpublished"] == 30
        stage.serve()
        wait_until_level(stage.nodes)
        wait_for("everything published", lambda: status(a)["sync"]["unpublished"] == 0)
        said = status(a)
        assert said["wrong"] == [] and said["sync"]["daemon"] == "running", said["sync"]
        assert said["sync"]["nodes_heard"] == 1 and said["sync"]["missing"] == 0
        cluster = said["sync"]["state"]["clusters"][0]
        assert cluster["up"] and cluster["syncs_on_write"] == "unknown"
        wait_for("its message", lambda: {s["domain"]: s["taken"] for s in status(a)["sync"]["state"][
            "streams"]}["inventory"] > 0)
        assert [(p["cluster"], p["sequence"], p["behind"]) for p in said["published"]] == [("c1", 30, 0)]
        wait_for("proof", lambda: [(p["node"], p["sequence"], p["state"], p["behind"])
                                   for p in status(a)["peers"]] == [("b", 30, "proven", 0)])
        a.run("status", "--check", "--crit", "daemon_down=1", "--crit", "clusters_down=1", "--crit",
              "unpublished=1", "--crit", "peers_heard=1", "--warn", "peer_age=1h")
        text = a.run("status").stdout
        assert "serve-sync runs" in text and re.search(r"^c1 +up ", text, re.M), text


def a_cluster_that_is_down_and_a_daemon_that_was_killed_are_said():
    with Stage(["a"]) as stage:
        a = stage.nodes[0]
        a.serve()
        wait_for("a connection", lambda: "event=receiving" in a.log())
        stage.servers[0].end(signal.SIGKILL)
        wait_for("the word", lambda: wrong(a) == ["cluster"])
        text = a.run("status").stdout
        assert "c1 cannot be reached" in text and re.search(r"^c1 +DOWN ", text, re.M), text
        said = a.run("status", "--check", "--crit", "clusters_down=1", expect=2).stdout
        assert "clusters_down 1" in said, said
        assert re.search(r'^ledgerbox_cluster_up\{.*cluster="c1"\} 0$',
                         a.run("status", "--format", "prometheus").stdout, re.M)
        a.kill()
        assert wrong(a) == ["daemon"]
        assert "systemctl start" in a.run("status").stdout
        a.run("status", "--check", "--crit", "daemon_down=1", expect=2)


def a_daemon_that_hangs_is_said_to_be_stale():
    with Stage(["a"]) as stage:
        a = stage.nodes[0]
        a.serve()
        wait_for("a connection", lambda: "event=receiving" in a.log())
        a.process.send_signal(signal.SIGSTOP)
        set_back(a, 300)
        text = a.run("status").stdout
        assert "STALE" in text and "has left no word for 5 min" in text, text
        a.run("status", "--check", "--warn", "daemon_age=60", expect=1)
        with open(note(a), "w", encoding="utf-8") as file:
            file.write("{garbled")
        assert "not known" in a.run("status").stdout
        status(a)
        a.process.send_signal(signal.SIGCONT)


def an_event_that_is_too_large_for_the_server_is_named_also_after_a_restart():
    with Stage(["a", "b"]) as stage:
        a, b = stage.nodes
        stage.servers[0].set("max_payload: 20000")
        large = json.dumps({"domain": "inventory", "type": "t", "payload": "x" * 30000})
        a.append(2)
        a.run("append", lines=large + "\n")
        a.append(2)
        for _ in range(2):
            a.serve()
            wait_for("a connection", lambda: a.log().count("event=receiving") >= 2)
            wait_for("the event", lambda: "too_large" in wrong(a))
            found = status(a)["sync"]["state"]["too_large"]
            assert [(e["domain"], e["sequence"]) for e in found] == [("inventory", 3)], found
            wait_for("the rest", lambda: status(a)["sync"]["unpublished"] == 0)
            a.stop()
        assert "inventory/3 (" in a.run("status").stdout
        assert a.log().count("event=too-large") == 1


def silence_and_gaps_are_said():
    with Stage(["a", "b"]) as stage:
        a, b = stage.nodes
        stage.serve()
        b.append(3)
        wait_until_level(stage.nodes)
        b.stop()
        a.stop()
        with sqlite3.connect(a.path("ledger.db")) as ledger:
            ledger.execute("update peer set time = time - 3600000000")
            ledger.execute("update peer_head set sequence = 10")
        said = status(a)
        assert (said["sync"]["missing"], said["sync"]["gaps"]) == (7, 1), said["sync"]
        assert [(g["have"], g["named"]) for g in said["gaps"]] == [(3, 10)]
        a.run("status", "--check", "--crit", "gaps=1", expect=2)
        a.run("status", "--check", "--crit", "missing=8")
        a.run("status", "--check", "--crit", "peer_age=30m", expect=2)
        a.serve()
        wait_for("the word", lambda: "peer" in wrong(a))
        assert "b was not heard for 60 min" in a.run("status").stdout


def a_node_that_joins_tells_how_far_it_is():
    with Stage(["a", "b"]) as stage:
        a, b = stage.nodes
        a.append(20000)
        a.serve()
        wait_for("a's events", lambda: "sequence=20000" in a.log() or "of=" not in a.log() and
                 status(a)["sync"]["unpublished"] == 0)
        begun = time.monotonic()
        b.serve()
        wait_until_level(stage.nodes)
        seconds = time.monotonic() - begun
        wait_for("the last line", lambda: sum(int(n) for n in re.findall(
            r"event=received events=(\d+)", b.log())) == 20000)
        lines = [line for line in b.log().splitlines() if "event=received" in line]
        assert len(lines) <= seconds + 3, (seconds, lines)
        assert any(re.search(r"done=\d+ of=20000 ", line) for line in lines), lines
        assert any("rest_s=" in line for line in lines), lines


def more_domains_than_can_be_taken_from_streams_arrive_all_the_same():
    with Stage(["a", "b"]) as stage:
        a, b = stage.nodes
        a.run("append", lines="".join('{"domain":"d%d","type":"t","payload":1}\n' % i
                                      for i in range(70)))
        stage.serve()
        wait_until_level(stage.nodes)
        wait_for("the word", lambda: "too_many" in wrong(b))
        assert "domains taken from one cluster" in b.run("status").stdout
        wait_for("everything published", lambda: status(a)["sync"]["unpublished"] == 0)


def once_draws_a_bar_on_a_terminal():
    with Stage(["a"]) as stage:
        a = stage.nodes[0]
        a.append(20000)
        ours, theirs = pty.openpty()
        with subprocess.Popen([PROGRAM, "serve-sync", "--once", "--config", "nodes.yaml"],
                              cwd=a.folder, env=dict(a.environment, TERM="xterm"), stderr=theirs,
                              stdin=subprocess.DEVNULL) as process:
            os.close(theirs)
            text = b""
            while True:
                try:
                    data = os.read(ours, 65536)
                except OSError:  # its other end is closed
                    break
                if not data:
                    break
                text += data
            assert process.wait() == 0, text
        os.close(ours)
        assert re.search(rb"events +\d+% \[", text), text


TESTS = [
    status_tells_what_the_daemon_sees,
    a_cluster_that_is_down_and_a_daemon_that_was_killed_are_said,
    a_daemon_that_hangs_is_said_to_be_stale,
    an_event_that_is_too_large_for_the_server_is_named_also_after_a_restart,
    silence_and_gaps_are_said,
    a_node_that_joins_tells_how_far_it_is,
    more_domains_than_can_be_taken_from_streams_arrive_all_the_same,
    once_draws_a_bar_on_a_terminal,
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
