#!/usr/bin/env python3
"""loss - streams that lose what they have acknowledged: it is published again, so that also a node that
never meets the others gets it; and servers that take nothing, while others would."""
import os
import shutil
import signal
import sqlite3
import sys
import traceback

from converge_test import Stage
from nodes import wait_for
from talk import Client

STREAM = "ledger-inventory"


def make_stream(port, domain="inventory"):
    """One of the wanted form that can be purged."""
    Client(port).ask("STREAM.CREATE.ledger-" + domain, name="ledger-" + domain,
                     subjects=["ledger.events.%s.*" % domain], storage="file",
                     duplicate_window=120 * 10**9)


def messages(port, stream=STREAM):
    answer = Client(port).ask("STREAM.INFO." + stream)
    return answer.get("state", {}).get("messages", 0)


def alone(stage, node, wanted):
    """Does a node that meets nobody get all of this from the stream?"""
    node.set_config(stage.ports, "domains: {inventory: {propagate: true, subscribe: true}}\n")
    node.run("serve-sync", "--once")
    missing = set(wanted) - node.hashes()
    assert not missing, "%d of %d events are not in the stream" % (len(missing), len(wanted))


def what_a_server_calls_a_duplicate_is_sent_again():
    with Stage(["a", "b"]) as stage:
        a, b = stage.nodes
        port = stage.ports[0]
        make_stream(port)
        answered = a.append(300)
        a.run("serve-sync", "--once")
        Client(port).ask("STREAM.PURGE." + STREAM)
        assert messages(port) == 0
        # As after a crash before the cursor was kept: the same frames, within the server's window.
        with sqlite3.connect(a.path("ledger.db")) as ledger:
            ledger.execute("delete from published")
        a.run("serve-sync", "--once")
        alone(stage, b, answered)


def a_stream_that_was_made_anew_gets_everything_again():
    with Stage(["a", "b"]) as stage:
        a, b = stage.nodes
        port = stage.ports[0]
        answered = a.append(300)
        a.serve()
        wait_for("messages", lambda: messages(port) > 0)
        Client(port).ask("STREAM.DELETE." + STREAM)
        wait_for("the events", lambda: "event=publishing-again" in a.log() and messages(port) > 0)
        a.stop()
        alone(stage, b, answered)


def a_stream_that_was_made_anew_while_nobody_looked_gets_everything_again():
    with Stage(["a", "b"]) as stage:
        a, b = stage.nodes
        a.set_config(stage.ports, "domains: {'*': {propagate: true}}\n")
        answered = a.append(300)
        a.run("serve-sync", "--once")
        Client(stage.ports[0]).ask("STREAM.DELETE." + STREAM)
        a.run("serve-sync", "--once")
        alone(stage, b, answered)


def a_stream_that_went_back_gets_the_rest_again():
    with Stage(["a", "b"]) as stage:
        a, b = stage.nodes
        server = stage.servers[0]
        answered = a.append(10)
        a.serve()
        wait_for("a first message", lambda: messages(server.port) > 0)
        server.end(signal.SIGTERM)
        shutil.copytree(server.path("js"), server.path("older"))
        server.start()
        for _ in range(5):
            answered += a.append(10)
        wait_for("all", lambda: "domain=inventory sequence=60" in a.log())
        server.end(signal.SIGKILL)
        server.wipe()
        shutil.copytree(server.path("older"), server.path("js"))
        server.start()
        wait_for("the rest", lambda: "event=publishing-again" in a.log() and
                 messages(server.port) > 1)
        a.stop()
        alone(stage, b, answered)


def a_server_that_hangs_with_all_that_is_under_way_keeps_no_other_from_being_used():
    with Stage(["a", "b"], servers=2) as stage:
        a, b = stage.nodes
        first, second = stage.servers
        stage.serve()
        a.append(1)
        wait_for("streams", lambda: a.log().count("domain=inventory from=1") == 2)
        first.pause()
        answered = a.append(20000)  # more frames than may be under way
        wait_for("the second", lambda: messages(second.port) > 64)
        wait_for("the events", lambda: set(answered) <= b.hashes())
        first.signal(signal.SIGCONT)


def a_cluster_without_a_stream_keeps_no_other_from_being_used():
    with Stage(["a"], servers=2) as stage:
        a = stage.nodes[0]
        for domain in ("inventory", "_ledger"):
            make_stream(stage.ports[1], domain)
        a.set_config(stage.ports)
        with open(a.path("nodes.yaml"), encoding="ascii") as file:
            config = file.read().replace("create_streams: true", "create_streams: false")
        with open(a.path("nodes.yaml"), "w", encoding="ascii") as file:
            file.write(config)
        a.append(20)
        a.serve()
        wait_for("the second", lambda: messages(stage.ports[1]) > 0)


def two_clusters_get_everything_where_that_is_wanted():
    with Stage(["a"], servers=2) as stage:
        a = stage.nodes[0]
        a.set_config(stage.ports, "domains: {'*': {propagate: true, clusters: [c1, c2], "
                                  "mode: dual}}\n")
        a.append(20)
        a.serve()
        for port in stage.ports:
            wait_for("messages", lambda port=port: messages(port) > 0)


def once_is_level_with_the_clusters_that_work():
    with Stage(["a", "b"], servers=2) as stage:
        a, b = stage.nodes
        stage.servers[0].end(signal.SIGKILL)
        answered = a.append(20)
        a.run("serve-sync", "--once")
        alone(stage, b, answered)


def a_stream_that_grows_and_delivers_nothing_is_said_and_its_consumer_made_anew():
    with Stage(["a", "b"]) as stage:
        a, b = stage.nodes
        make_stream(stage.ports[0])
        a.append(3)
        a.run("serve-sync", "--once")
        b.serve()
        wait_for("a start", lambda: "event=receiving cluster=c1 domain=inventory" in b.log())
        client = Client(stage.ports[0])
        (name,) = [n for n in client.ask("CONSUMER.NAMES." + STREAM)["consumers"] if n.startswith("b-")]
        config = client.ask("CONSUMER.INFO.%s.%s" % (STREAM, name))["config"]
        # Alive, and blind: heartbeats come, messages do not.
        changed = client.ask("CONSUMER.DURABLE.CREATE.%s.%s" % (STREAM, name), stream_name=STREAM,
                             config=dict(config, filter_subject="ledger.events.inventory.nobody"))
        assert "error" not in changed, changed
        # Nobody who has them is there to be asked.
        answered = a.append(5)
        a.run("serve-sync", "--once")
        wait_for("the word", lambda: "event=stream-silent" in b.log(), 90)
        wait_for("the events", lambda: set(answered) <= b.hashes())
        assert b.log().count("event=stream-silent") == 1, b.log()


TESTS = [
    a_stream_that_grows_and_delivers_nothing_is_said_and_its_consumer_made_anew,
    once_is_level_with_the_clusters_that_work,
    what_a_server_calls_a_duplicate_is_sent_again,
    a_stream_that_was_made_anew_gets_everything_again,
    a_stream_that_was_made_anew_while_nobody_looked_gets_everything_again,
    a_stream_that_went_back_gets_the_rest_again,
    a_server_that_hangs_with_all_that_is_under_way_keeps_no_other_from_being_used,
    a_cluster_without_a_stream_keeps_no_other_from_being_used,
    two_clusters_get_everything_where_that_is_wanted,
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
