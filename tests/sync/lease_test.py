#!/usr/bin/env python3
"""lease - one daemon for each name: a copy of a ledger is kept out, a killed daemon is not waited for."""
import json
import os
import shutil
import signal
import sys
import time
import traceback

import converge_test
import permissions_test
from nodes import Node, wait_for, wait_until_level
from servers import Proxy
from talk import Client

BUCKET = "KV_ledger-lease"
TWINS = []


class Stage(converge_test.Stage):
    def __exit__(self, *what):
        while TWINS:
            TWINS.pop().kill()
        super().__exit__(*what)


def held(node):
    return "event=lease " in node.log()


def twin_of(node, folder):
    """The same ledger under the same name on another machine, as far as a test can have one."""
    twin = Node.__new__(Node)
    twin.__dict__.update(node.__dict__, folder=folder, process=None, starts=0)
    shutil.copytree(node.folder, folder, ignore=lambda _, names: [n for n in names if ".sync" in n])
    twin.environment = dict(node.environment, XDG_STATE_HOME=os.path.join(folder, "state"))
    TWINS.append(twin)
    twin.run("recover", "--offline", "--force")
    return twin


def admin(stage):
    return Client(stage.ports[0], node="admin")


def make_bucket(stage, seconds):
    answer = admin(stage).ask("STREAM.CREATE." + BUCKET, name=BUCKET, subjects=["$KV.ledger-lease.>"],
                              max_age=int(seconds * 1e9), max_msgs_per_subject=1, discard="new",
                              storage="file", retention="limits")
    assert "error" not in answer, answer


def a_second_daemon_of_one_name_is_refused_and_told_who_holds_it():
    with Stage(["a", "b"]) as stage:
        a, b = stage.nodes
        stage.serve()
        a.append(10)
        wait_until_level(stage.nodes)
        wait_for("a's lease", lambda: held(a))
        twin = twin_of(a, a.folder + ".twin")
        twin.append(3)
        twin.serve()
        assert twin.process.wait(60) == 20, twin.log()
        for word in ("another serve-sync runs under the name a", "process %d" % a.process.pid, os.uname().nodename,
                     "lasts until 20", "stop that one", "start again after"):
            assert word in twin.log(), (word, twin.log())
        error = json.loads(twin.run("serve-sync", "--once", "--within", "20s", "--format", "json", expect=20).stderr.splitlines()[-1])
        assert error["code"] == 20 and error["retryable"], error
        assert a.is_running() and "another-daemon" not in a.log(), a.log()[-500:]
        # Nothing of it went out.
        assert not twin.hashes() <= b.hashes()
        answered = a.append(20)
        wait_until_level(stage.nodes)
        assert set(answered) <= b.hashes()


def one_that_ended_in_order_leaves_its_name_at_once():
    with Stage(["a", "b"]) as stage:
        a, b = stage.nodes
        stage.serve()
        wait_for("a's lease", lambda: held(a))
        twin = twin_of(a, a.folder + ".twin")
        a.stop()
        twin.serve()
        wait_for("the twin's lease", lambda: held(twin), 10)
        a.run("serve-sync", "--once", "--within", "20s", expect=20)
        twin.stop()


def one_that_was_killed_is_taken_over_by_its_own_ledger_at_once():
    with Stage(["a", "b"]) as stage:
        a, b = stage.nodes
        stage.serve()
        for _ in range(3):
            wait_for("a's lease", lambda: held(a))
            a.kill()
            began = time.monotonic()
            a.serve()
            wait_for("another lease", lambda: a.log().count("event=lease ") == a.starts)
            assert time.monotonic() - began < 15, "it waited for the lease to end"
        a.append(10)
        wait_until_level(stage.nodes)


def one_that_was_killed_is_taken_over_by_another_when_its_lease_has_ended():
    with Stage(["a", "b"]) as stage:
        a, b = stage.nodes
        make_bucket(stage, 6)
        stage.serve()
        wait_for("a's lease", lambda: held(a))
        twin = twin_of(a, a.folder + ".twin")
        a.kill()
        said = twin.run("serve-sync", "--once", "--within", "20s", expect=20).stderr
        assert "lasts until" in said, said
        wait_for("the end of the lease", lambda: twin.run("serve-sync", "--once", "--within", "5s",
                                                          expect=None).returncode != 20)
        twin.serve()
        wait_for("the twin's lease", lambda: held(twin))


def a_server_that_went_back_to_an_older_lease_takes_the_name_from_nobody():
    with Stage(["a"]) as stage:
        a, server = stage.nodes[0], stage.servers[0]
        make_bucket(stage, 60)
        a.serve()
        wait_for("a lease", lambda: held(a))
        a.kill()
        server.end(signal.SIGTERM)
        shutil.copytree(server.path("js"), server.path("older"))
        server.start()
        a.serve()
        wait_for("another lease", lambda: a.log().count("event=lease ") == a.starts)
        ups = a.log().count("event=connected")
        server.end(signal.SIGKILL)
        server.wipe()
        shutil.copytree(server.path("older"), server.path("js"))
        server.start()
        wait_for("the connection", lambda: a.log().count("event=connected") > ups)
        a.append(10)
        wait_for("all to be published", lambda: a.unpublished() == 0)
        assert a.is_running() and "another-daemon" not in a.log(), a.log()[-1000:]


def a_lease_is_kept_as_long_as_its_daemon_lives():
    with Stage(["a"]) as stage:
        a = stage.nodes[0]
        make_bucket(stage, 3)
        a.serve()
        wait_for("a's lease", lambda: held(a))
        twin = twin_of(a, a.folder + ".twin")
        client = admin(stage)
        first = client.ask("STREAM.INFO." + BUCKET)["state"]["last_seq"]
        wait_for("renewals", lambda: client.ask("STREAM.INFO." + BUCKET)["state"]["last_seq"] >= first + 5)
        twin.run("serve-sync", "--once", "--within", "20s", expect=20)
        assert a.log().count("event=lease ") == 1 and a.is_running()


def a_daemon_that_lost_its_name_while_it_was_stopped_ends():
    with Stage(["a", "b"]) as stage:
        a, b = stage.nodes
        make_bucket(stage, 3)
        stage.serve()
        wait_for("a's lease", lambda: held(a))
        twin = twin_of(a, a.folder + ".twin")
        a.process.send_signal(signal.SIGSTOP)
        wait_for("the end of the lease", lambda: twin.run("serve-sync", "--once", "--within", "5s",
                                                          expect=None).returncode != 20)
        twin.serve()
        wait_for("the twin's lease", lambda: held(twin))
        a.process.send_signal(signal.SIGCONT)
        assert a.process.wait(60) == 20, a.log()[-800:]
        assert "was ours until it was taken" in a.log(), a.log()[-800:]
        assert twin.is_running()
        twin.kill()


class Listening(Proxy):
    """Nothing gets through any more when the lease is looked for."""
    armed = False

    def see(self, data, mark):
        if self.armed and b"STREAM.INFO.KV_ledger-lease" in data:
            self.hold()


def a_connection_that_is_lost_with_a_question_about_the_lease_comes_back():
    with Stage(["a", "b"]) as stage:
        a, b = stage.nodes
        proxy = Listening(stage.ports[0])
        a.set_config([proxy.port])
        stage.serve()
        wait_for("a's lease", lambda: held(a))
        b.append(1)
        wait_until_level(stage.nodes)
        proxy.armed = True
        proxy.cut()
        proxy.mend()
        wait_for("the question", proxy.silent.is_set)
        proxy.armed = False
        proxy.cut()
        wait_for("the end of the connection", lambda: a.log().count("event=disconnected") > 1)
        proxy.mend()
        wait_for("the connection", lambda: a.log().count("event=connected") == 3)
        # Peers would bring the events too; what only the stream brings is what no node has said.
        wait_for("what the stream has", lambda: "event=quarantined" in a.log() or admin(stage).publish(
            "ledger.events.inventory.b", b"nonsense"))


def a_bucket_that_is_gone_stops_nobody():
    with Stage(["a", "b"]) as stage:
        a, b = stage.nodes
        make_bucket(stage, 3)
        stage.serve()
        wait_for("leases", lambda: held(a) and held(b))
        admin(stage).ask("STREAM.DELETE." + BUCKET)
        answered = a.append(30)
        wait_until_level(stage.nodes)
        assert set(answered) <= b.hashes()
        # It is made anew where streams are.
        wait_for("another bucket", lambda: "error" not in admin(stage).ask("STREAM.INFO." + BUCKET))
        assert a.is_running() and b.is_running()


def where_no_bucket_may_be_made_it_is_said_once_and_all_works():
    with Stage(["a", "b"]) as stage:
        a, b = stage.nodes
        stage.serve()
        a.append(5)
        wait_until_level(stage.nodes)
        for node in stage.nodes:
            node.stop()
            with open(node.path("nodes.yaml")) as file:
                text = file.read()
            with open(node.path("nodes.yaml"), "w") as file:
                file.write(text.replace("create_streams: true", "create_streams: false"))
        admin(stage).ask("STREAM.DELETE." + BUCKET)
        stage.serve()
        answered = a.append(5)
        wait_until_level(stage.nodes)
        assert set(answered) <= b.hashes() and a.log().count("event=lease-missing") == 1, a.log()[-800:]
        make_bucket(stage, 3)
        wait_for("a lease all the same", lambda: a.log().count("event=lease ") == 2)


def a_bucket_that_keeps_leases_for_ever_is_not_used():
    with Stage(["a"]) as stage:
        a = stage.nodes[0]
        make_bucket(stage, 0)
        a.serve()
        wait_for("a word", lambda: "event=lease-unfit" in a.log())
        wait_for("work", lambda: "event=receiving" in a.log())


def a_server_without_jetstream_stops_nobody():
    with Stage(["a", "b"]) as stage:
        a, b = stage.nodes
        server = stage.servers[0]
        stage.serve()
        wait_for("leases", lambda: held(a) and held(b))
        server.end(15)
        config = server.config
        server.config = "\n".join(line for line in config.splitlines() if not line.startswith("jetstream"))
        server.start()
        answered = a.append(30)  # by heads and ranges
        wait_until_level(stage.nodes)
        assert set(answered) <= b.hashes()
        assert a.is_running() and b.is_running()
        server.end(15)
        server.config = config
        server.start()
        a.append(5)
        wait_until_level(stage.nodes)


def what_somebody_without_the_key_puts_there_keeps_nobody_out():
    with Stage(["a"]) as stage:
        a = stage.nodes[0]
        make_bucket(stage, 60)
        client = admin(stage)
        for text in (b"", b"nonsense", b'{"v":1,"node":"a","where":"0","boot":1,"host":"x","pid":1,"path":"y"}\n'
                     b'{"key":"hs256-0000000000000000","mac":"%s"}\n' % (b"0" * 64)):
            client.request("$KV.ledger-lease.a", text)
            a.serve()
            wait_for("a lease", lambda: a.log().count("event=lease ") == a.starts)
            a.stop()


def with_users(change):
    """Two nodes on a server that permits what ledgerbox-nats(7) says, but for what `change` makes of it."""
    page = permissions_test.from_page
    permissions_test.from_page = lambda: (change(page()[0]), *page()[1:])
    try:
        stage = permissions_test.Stage()
    finally:
        permissions_test.from_page = page
    nodes = []
    for name, word in (("store-a", "pass-a"), ("store-b", "pass-b")):
        node = Node(stage.folder, name, [stage.server.port],
                    'domains: {"inventory": {propagate: true, subscribe: true}}\n')
        with open(node.path("nodes.yaml")) as file:
            text = file.read()
        with open(node.path("nodes.yaml"), "w") as file:
            file.write(text.replace("nats://", "nats://%s:%s@" % (name, word)).replace("create_streams: true",
                                                                                       "create_streams: false"))
        os.chmod(node.path("nodes.yaml"), 0o600)
        nodes.append(node)
    return stage, nodes


def the_permissions_of_the_page_are_enough_for_lease_and_peers():
    stage, (a, b) = with_users(lambda text: text)
    try:
        a.serve()
        b.serve()
        wait_for("leases", lambda: held(a) and held(b))
        a.append(20)
        wait_until_level([a, b])
        assert "proven by a peer: 1 of 1 chain" in a.run("verify", "--peers").stdout
        a.run("recover", "--dry-run", expect=1)
        assert "event=denied" not in a.log() + b.log(), a.log()[-800:]
    finally:
        a.kill()
        b.kill()
        stage.end()


def without_its_permissions_it_is_said_and_all_works():
    stage, (a, b) = with_users(lambda text: "".join(
        line for line in text.splitlines(True) if "lease" not in line))
    try:
        a.serve()
        b.serve()
        answered = a.append(20)
        wait_until_level([a, b])
        assert set(answered) <= b.hashes()
        wait_for("a word", lambda: "event=lease-failed" in a.log())
        b.stop()
        wait_for("streams", lambda: "event=receiving" in a.log())
        assert a.log().count("event=lease-failed") == 1 and not held(a), a.log()[-800:]
    finally:
        a.kill()
        b.kill()
        stage.end()


TESTS = [
    the_permissions_of_the_page_are_enough_for_lease_and_peers,
    without_its_permissions_it_is_said_and_all_works,
    a_second_daemon_of_one_name_is_refused_and_told_who_holds_it,
    one_that_ended_in_order_leaves_its_name_at_once,
    one_that_was_killed_is_taken_over_by_its_own_ledger_at_once,
    one_that_was_killed_is_taken_over_by_another_when_its_lease_has_ended,
    a_server_that_went_back_to_an_older_lease_takes_the_name_from_nobody,
    a_lease_is_kept_as_long_as_its_daemon_lives,
    a_daemon_that_lost_its_name_while_it_was_stopped_ends,
    a_connection_that_is_lost_with_a_question_about_the_lease_comes_back,
    a_bucket_that_is_gone_stops_nobody,
    where_no_bucket_may_be_made_it_is_said_once_and_all_works,
    a_bucket_that_keeps_leases_for_ever_is_not_used,
    a_server_without_jetstream_stops_nobody,
    what_somebody_without_the_key_puts_there_keeps_nobody_out,
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
