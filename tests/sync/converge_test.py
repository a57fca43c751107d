#!/usr/bin/env python3
"""converge - nodes with daemons and a real server: whatever happens, their ledgers become equal."""
import os
import re
import shutil
import signal
import sqlite3
import sys
import tempfile
import traceback

from nodes import Node, wait_for, wait_until_level
from servers import Server
from talk import Client


class Stage:
    def __init__(self, names, servers=1, config=""):
        self.folder = tempfile.mkdtemp(prefix="converge.")
        self.servers = [Server(self.folder, "nats%d" % i, config) for i in range(1, servers + 1)]
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


def three_nodes_become_equal_after_the_store_is_wiped():
    with Stage(["a", "b", "c"]) as stage:
        a, b, c = stage.nodes
        server = stage.servers[0]
        stage.serve()
        answered = a.append(500)
        wait_until_level(stage.nodes)
        c.kill()
        answered += a.append(700) + b.append(700)
        wait_until_level([a, b])
        server.end(9)
        server.wipe()
        answered += b.append(10)
        server.start()
        c.serve()
        wait_until_level(stage.nodes)
        assert set(answered) <= c.hashes()
        stage.verify()


def a_node_without_events_gets_all_from_peers_when_the_streams_are_gone():
    with Stage(["a", "b", "c"]) as stage:
        a, b, c = stage.nodes
        a.serve()
        b.serve()
        answered = a.append(6000) + b.append(2000)
        wait_until_level([a, b])
        server = stage.servers[0]
        server.end(15)
        server.wipe()
        server.start()
        a.kill()  # a peer that is not the origin hands it out
        c.serve()
        wait_until_level([b, c])
        assert set(answered) <= c.hashes()
        stage.verify()


def a_daemon_works_without_a_server_and_goes_on_when_there_is_one():
    with Stage(["a", "b"]) as stage:
        a, b = stage.nodes
        stage.servers[0].end(15)
        stage.serve()
        answered = a.append(50) + b.append(50)
        wait_for("tries", lambda: a.log().count("event=disconnected") > 1)
        stage.servers[0].start()
        wait_until_level(stage.nodes)
        assert set(answered) <= a.hashes()


def a_second_daemon_on_one_ledger_is_refused():
    with Stage(["a"]) as stage:
        a = stage.nodes[0]
        a.serve()
        wait_for("a start", lambda: "event=started" in a.log())
        said = a.run("serve-sync", expect=20)
        assert "another serve-sync runs" in said.stderr
        a.stop()


def sighup_takes_a_good_config_and_refuses_a_wrong_one():
    with Stage(["a"]) as stage:
        a = stage.nodes[0]
        a.serve()
        wait_for("a start", lambda: "event=started" in a.log())
        with open(a.path("nodes.yaml"), "a", encoding="ascii") as file:
            file.write("nonsense: true\n")
        a.process.send_signal(1)
        wait_for("a refusal", lambda: "event=config-refused" in a.log())
        assert a.is_running() and a.log().count("event=started") == 1
        a.set_config(stage.ports)
        a.process.send_signal(1)
        wait_for("another start", lambda: a.log().count("event=started") == 2)
        a.stop()


def a_node_that_was_rolled_back_begins_its_next_epoch_by_itself():
    with Stage(["a", "b"]) as stage:
        a, b = stage.nodes
        stage.serve()
        a.append(20)
        wait_until_level(stage.nodes)
        a.stop()
        # All of the machine: nothing in the file or beside it tells.
        shutil.copytree(a.folder, a.folder + ".before", symlinks=True)
        a.serve()
        answered = a.append(30)
        wait_until_level(stage.nodes)
        a.stop()
        put_back(a)
        a.serve()
        wait_for("an epoch", lambda: "event=epoch-begun" in a.log())
        answered += a.append(5)
        wait_until_level(stage.nodes)
        assert set(answered) <= b.hashes()
        stage.verify()


def put_back(node):
    """Bytes of the older state, in the same files: as a snapshot of the machine does it."""
    for folder, _, files in os.walk(node.folder + ".before"):
        for name in files:
            old = os.path.join(folder, name)
            now = os.path.join(node.folder, os.path.relpath(old, node.folder + ".before"))
            if name.startswith("log."):
                continue
            with open(old, "rb") as source, open(now, "r+b") as target:
                target.write(source.read())
                target.truncate()


def once_ends_when_all_is_level_and_says_21_without_a_server():
    with Stage(["a", "b"]) as stage:
        a, b = stage.nodes
        a.append(1000)
        b.append(10)
        a.run("serve-sync", "--once")
        b.run("serve-sync", "--once")
        a.run("serve-sync", "--once")
        assert a.chains() == b.chains()
        a.serve()
        b.append(10)
        b.run("serve-sync", "--once", "--peers", "1")
        a.stop()
        stage.servers[0].end(15)
        said = a.run("serve-sync", "--once", "--within", "1s", expect=21)
        assert "not level yet" in said.stderr


def a_node_that_joins_alone_finds_the_domains_that_only_streams_hold():
    with Stage(["a", "b"]) as stage:
        a, b = stage.nodes
        answered = a.append(30) + a.append(3, "orders") + a.append(2, "private")
        a.run("serve-sync", "--once")
        b.set_config(stage.ports, "domains: {private: {}, '*': {propagate: true, subscribe: true}}\n")
        b.run("serve-sync", "--once")
        assert set(answered[:33]) == b.hashes() & set(answered), len(b.hashes())
        # What has the name and not the subject is no stream of a domain: somebody has to look at it.
        client = Client(stage.servers[0].port)
        made = client.ask("STREAM.CREATE.ledger-odd", name="ledger-odd", subjects=["ledger.events.other.x"])
        assert "error" not in made, made
        assert b.run("serve-sync", "--once", "--within", "2s", expect=None).returncode == 21


def stage_with(denied, names):
    """All nodes may do all but publish to `denied`."""
    stage = Stage(names, config="authorization {users: [{user: x, password: y, permissions: {publish: "
                  "{deny: \"%s\"}}}, {user: admin, password: z}]}\n" % denied)
    for node in stage.nodes:
        with open(node.path("nodes.yaml"), encoding="ascii") as file:
            text = file.read().replace("nats://", "nats://x:y@")
        with open(node.path("nodes.yaml"), "w", encoding="ascii") as file:
            file.write(text)
        os.chmod(node.path("nodes.yaml"), 0o600)
    return stage


def where_streams_cannot_be_listed_that_is_said_once():
    with stage_with("$JS.API.STREAM.NAMES", ["a"]) as stage:
        a = stage.nodes[0]
        a.append(3)
        said = a.run("serve-sync", "--once").stderr
        assert said.count("event=streams-not-listed") == 1, said
        assert "$JS.API.STREAM.NAMES" in said and "event=denied" not in said, said


def a_stream_that_was_found_and_may_not_be_read_is_said_once_and_holds_nothing_up():
    with stage_with("$JS.API.STREAM.INFO.ledger-orders", ["a"]) as stage:
        a = stage.nodes[0]
        client = Client(stage.ports[0], **{"user": "admin", "pass": "z"})
        for domain in ("orders", "order"):
            made = client.ask("STREAM.CREATE.ledger-" + domain, name="ledger-" + domain,
                              subjects=["ledger.events.%s.*" % domain])
            assert "error" not in made, made
        a.append(3)
        said = a.run("serve-sync", "--once").stderr
        assert said.count("event=stream-denied") == 1 and "event=denied" not in said, said
        assert "stream=ledger-orders" in said, said


def a_local_domain_stays_here():
    with Stage(["a", "b"]) as stage:
        a, b = stage.nodes
        for node in stage.nodes:
            node.set_config(stage.ports, "domains: {private: {}, '*': {propagate: true, "
                                         "subscribe: true}}\n")
        stage.serve()
        secret = a.append(3, "private")
        public = a.append(3)
        wait_for("the public ones", lambda: set(public) <= b.hashes())
        wait_for("heads", lambda: b.log().count("event=peer"))
        assert not set(secret) & b.hashes()


def a_second_cluster_is_used_while_the_first_is_down():
    with Stage(["a", "b"], servers=2) as stage:
        a, b = stage.nodes
        stage.serve()
        a.append(20)
        wait_until_level(stage.nodes)
        stage.servers[0].end(9)
        answered = a.append(50)
        wait_until_level(stage.nodes)
        assert set(answered) <= b.hashes()
        wait_for("the second", lambda: "event=published cluster=c2 domain=inventory" in a.log())
        stage.servers[0].start()
        a.append(20)
        wait_until_level(stage.nodes)


def append_waits_for_proof_and_says_30_without():
    with Stage(["a", "b"]) as stage:
        a, b = stage.nodes
        event = ["append", "-d", "inventory", "-t", "t", "n:=1"]
        a.serve()
        said = a.run(*event, "--wait", "1", "--within", "500ms", expect=30)
        assert "0 of 1 nodes" in said.stderr and said.stdout.startswith("1 1 ")
        b.serve()
        hash_of = a.run(*event, "--wait", "1", "--within", "30s").stdout.split()[-1]
        assert hash_of in b.hashes()
        a.run(*event, "--wait", "2", "--within", "500ms", expect=30)


def every_node_shows_a_fork_with_both_branches():
    with Stage(["a", "b", "c"]) as stage:
        a, b, c = stage.nodes
        stage.serve()
        a.append(300)
        wait_until_level(stage.nodes)
        a.stop()
        shutil.copytree(a.folder, a.folder + ".before", symlinks=True)
        a.serve()
        a.append(400)
        wait_until_level(stage.nodes)
        a.stop()
        put_back(a)
        a.append(20)  # in places that are taken elsewhere, before anybody could tell
        a.serve()
        wait_for("a fork everywhere", lambda: all(
            "inventory/301" in n.run("fork", "list", expect=None).stdout for n in stage.nodes))
        wait_for("whole branches", lambda: sorted(
            int(n.run("fork", "list", expect=None).stdout.split("events")[0].split()[-1])
            for n in stage.nodes) == [20, 20, 400])


def a_forged_line_with_a_hash_that_is_known_is_refused_by_its_origin_too():
    with Stage(["a", "b"]) as stage:
        a = stage.nodes[0]
        stage.serve()
        a.append(3)
        wait_until_level(stage.nodes)
        line = a.run("tail", "-n", "1", "--format", "json").stdout.replace('"position":3,', "")
        forged = [line.replace('"n":2', '"n":3'),
                  re.sub('"mac":"(..)', lambda m: '"mac":"%02x' % (int(m[1], 16) ^ 1), line)]
        client = Client(stage.servers[0].port)
        for data in [line, *forged]:
            client.publish("ledger.events.inventory.a", data.encode())
        client.settle()
        for node in stage.nodes:
            database = sqlite3.connect("file:%s?mode=ro" % node.path("ledger.db"), uri=True)
            wait_for("both", lambda database=database: {row[0] for row in database.execute(
                "SELECT bytes FROM quarantine")} == {data.encode().strip() for data in forged})


def forged_lines_do_not_fill_what_repair_remembers():
    with Stage(["a", "b"]) as stage:
        a, b = stage.nodes
        server = stage.servers[0]
        stage.serve()
        a.append(3)
        wait_until_level(stage.nodes)
        line = a.run("tail", "-n", "1", "--format", "json").stdout.replace('"position":3,', "")
        client = Client(server.port)
        for i in range(5000):  # each names a chain of its own
            client.publish("ledger.events.inventory.a", re.sub(
                '"epoch":[0-9]+', '"epoch":%d' % (i + 1), line).encode())
        client.settle()
        database = sqlite3.connect("file:%s?mode=ro" % b.path("ledger.db"), uri=True)
        wait_for("5000 refusals", lambda: database.execute(
            "SELECT (SELECT count(*) FROM quarantine) + "
            "(SELECT ifnull(sum(messages), 0) FROM dropped)").fetchone()[0] >= 5000)
        b.process.send_signal(signal.SIGSTOP)
        a.append(3, "orders")
        wait_for("orders", lambda: a.unpublished() == 0)
        server.end(9)
        server.wipe()
        server.start()
        b.process.send_signal(signal.SIGCONT)
        wait_until_level(stage.nodes)


def heads_fit_into_what_a_server_takes():
    with Stage(["a", "b"], config="max_payload: 3072\n") as stage:
        a, b = stage.nodes
        server = stage.servers[0]
        for i in range(30):
            a.append(2, "domain%d" % i)
        a.serve()
        wait_for("all to be published", lambda: a.unpublished() == 0)
        server.end(9)
        server.wipe()
        server.start()
        b.serve()
        wait_until_level(stage.nodes)


TESTS = [
    a_node_that_joins_alone_finds_the_domains_that_only_streams_hold,
    where_streams_cannot_be_listed_that_is_said_once,
    a_stream_that_was_found_and_may_not_be_read_is_said_once_and_holds_nothing_up,
    a_forged_line_with_a_hash_that_is_known_is_refused_by_its_origin_too,
    heads_fit_into_what_a_server_takes,
    forged_lines_do_not_fill_what_repair_remembers,
    every_node_shows_a_fork_with_both_branches,
    append_waits_for_proof_and_says_30_without,
    two_nodes_become_equal,
    three_nodes_become_equal_after_the_store_is_wiped,
    a_node_without_events_gets_all_from_peers_when_the_streams_are_gone,
    a_daemon_works_without_a_server_and_goes_on_when_there_is_one,
    a_second_daemon_on_one_ledger_is_refused,
    sighup_takes_a_good_config_and_refuses_a_wrong_one,
    a_node_that_was_rolled_back_begins_its_next_epoch_by_itself,
    once_ends_when_all_is_level_and_says_21_without_a_server,
    a_local_domain_stays_here,
    a_second_cluster_is_used_while_the_first_is_down,
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
