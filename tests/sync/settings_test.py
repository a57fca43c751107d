#!/usr/bin/env python3
"""settings - what the config says of clusters and domains is what daemons do, against real servers."""
import os
import shutil
import sys
import tempfile
import traceback

import identities
import talk
from nodes import Node, wait_for, wait_until_level
from permissions_test import from_page
from servers import Server, make_cluster

EVERYTHING = '{propagate: true, subscribe: true}'


class Stage:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="settings.")
        self.servers, self.nodes = [], []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for node in self.nodes:
            node.kill()
        for server in self.servers:
            if server.process and server.process.poll() is None:
                server.process.kill()
                server.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def identity(self):
        folder = os.path.join(self.folder, "id%d" % len(self.servers))
        os.makedirs(folder)
        return folder

    def server(self, config=""):
        self.servers.append(Server(self.folder, "nats%d" % (len(self.servers) + 1), config))
        self.servers[-1].start()
        return self.servers[-1]

    def cluster(self):
        self.servers += make_cluster(self.folder, "nats")
        for server in self.servers:
            server.launch()
        for server in self.servers:
            wait_for(server.name, server.is_ready)

    def secret(self, text):
        path = os.path.join(self.folder, "secret%d" % len(os.listdir(self.folder)))
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write(text + "\n")
        return path

    def node(self, name, clusters, domains='{"*": %s}' % EVERYTHING, create="true"):
        """`clusters`: lines under clusters:."""
        node = Node(self.folder, name, [1])
        with open(node.path("nodes.yaml"), "w") as file:
            file.write("node: %s\ndatabase: ledger.db\nkeys: {sign: ledger.key}\nclusters:\n%s"
                       "sync: {create_streams: %s}\ndomains: %s\n"
                       % (name, "".join("  %s\n" % line for line in clusters), create, domains))
        self.nodes.append(node)
        return node


def cluster(server, scheme="nats", host="127.0.0.1", name="c1", priority=1, rest=""):
    return "%s: {urls: [\"%s://%s:%d\"], priority: %d%s}" % (name, scheme, host, server.port, priority,
                                                          rest and ", " + rest)


def become_equal(stage, lines, of_b=None):
    a, b = stage.node("a", lines), stage.node("b", of_b or lines)
    answered = a.append(30) + b.append(30)
    a.serve()
    b.serve()
    wait_until_level([a, b])
    assert set(answered) <= a.hashes() & b.hashes()
    for node in (a, b):
        node.stop()
        assert "event=denied" not in node.log(), node.log()
        node.run("verify")


def is_not_let_in(stage, line):
    node = stage.node("x", [line])
    node.append(1)
    node.serve()
    wait_for("two refusals", lambda: node.log().count("event=disconnected") > 1)
    assert "event=connected" not in node.log(), node.log()
    node.stop()


def info(server, stream, **who):
    client = talk.Client(server.port, **who)
    answer = client.ask("STREAM.INFO." + stream)
    client.socket.close()
    return answer


# --- Who is let in

def credentials():
    with Stage() as stage:
        path, config = identities.credentials(stage.identity())
        server = stage.server(config)
        other, _ = identities.credentials(stage.identity())
        become_equal(stage, [cluster(server, rest="credentials: " + path)])
        is_not_let_in(stage, cluster(server, rest="credentials: " + other))


def nkey():
    with Stage() as stage:
        path, config = identities.nkey(stage.identity())
        server = stage.server(config)
        other, _ = identities.nkey(stage.identity())
        become_equal(stage, [cluster(server, rest="nkey: " + path)])
        is_not_let_in(stage, cluster(server, rest="nkey: " + other))


def user_and_password_file():
    with Stage() as stage:
        server = stage.server('authorization: {user: ada, password: "s3cret-pass"}\n')
        become_equal(stage, [cluster(
            server, rest="user: ada, password_file: " + stage.secret("s3cret-pass"))])
        is_not_let_in(stage, cluster(
            server, rest="user: ada, password_file: " + stage.secret("wrong")))


def token_file():
    with Stage() as stage:
        server = stage.server('authorization: {token: "t0ken-of-ours"}\n')
        become_equal(stage, [cluster(server, rest="token_file: " + stage.secret("t0ken-of-ours"))])
        is_not_let_in(stage, cluster(server, rest="token_file: " + stage.secret("wrong")))


def tls(folder, ca="ca", client="client", more=""):
    words = "tls: {ca: %s/%s.pem" % (folder, ca)
    if client:
        words += ", cert: {0}/{1}.pem, key: {0}/{1}.key".format(folder, client)
    return words + more + "}"


def tls_with_client_certificates():
    with Stage() as stage:
        folder = stage.identity()
        server = stage.server(identities.certificates(folder))
        become_equal(stage, [cluster(server, "tls", "localhost", rest=tls(folder))],
                     [cluster(server, "tls", rest=tls(folder, more=", hostname: localhost"))])
        is_not_let_in(stage, cluster(server, "tls", "localhost", rest=tls(folder, client=None)))


def tls_refuses_strangers_and_strange_servers():
    for change in ({"client": "stranger"}, {"ca": "other-ca"}, {"more": ", hostname: elsewhere"}):
        with Stage() as stage:
            folder = stage.identity()
            server = stage.server(identities.certificates(folder))
            is_not_let_in(stage, cluster(server, "tls", "localhost", rest=tls(folder, **change)))


# --- Where events go

def two_clusters(stage):
    first, second = stage.server(), stage.server()
    return first, second, [cluster(first, name="c1"), cluster(second, name="c2", priority=2)]


def messages(server, stream="ledger-inventory"):
    answer = info(server, stream)
    return answer["state"]["messages"] if "state" in answer else 0


def mode_failover_sends_to_the_first_that_works():
    with Stage() as stage:
        first, second, clusters = two_clusters(stage)
        a = stage.node("a", clusters, '{"*": {propagate: true, mode: failover}}')
        a.append(3)
        a.serve()
        wait_for("the first", lambda: messages(first) > 0)
        a.append(3)
        wait_for("more", lambda: messages(first) > 1)
        assert messages(second) == 0
        first.end(9)
        a.append(3)
        wait_for("the second", lambda: messages(second) > 0)


def mode_dual_sends_to_two_at_once():
    with Stage() as stage:
        first, second, clusters = two_clusters(stage)
        a = stage.node("a", clusters, '{"*": {propagate: true, mode: dual}}')
        a.append(3)
        a.serve()
        wait_for("both", lambda: messages(first) and messages(second))


def priority_goes_before_the_order_in_the_config():
    with Stage() as stage:
        first, second = stage.server(), stage.server()
        a = stage.node("a", [cluster(first, name="c1", priority=7),
                             cluster(second, name="c2", priority=3)], '{"*": {propagate: true}}')
        a.append(3)
        a.serve()
        wait_for("the second", lambda: messages(second) > 0)
        assert messages(first) == 0


def a_domain_goes_to_its_clusters_alone():
    with Stage() as stage:
        first, second, clusters = two_clusters(stage)
        a = stage.node("a", clusters, '{inventory: {propagate: true, clusters: [c2]}}')
        a.append(3)
        a.serve()
        wait_for("the second", lambda: messages(second) > 0)
        assert "error" in info(first, "ledger-inventory")


def streams_are_made_as_the_config_says():
    with Stage() as stage:
        stage.cluster()
        server = stage.servers[0]
        a = stage.node("a", [cluster(server)],
                       '{inventory: {propagate: true, subscribe: true, stream: stock, replicas: 3, '
                       'max_age: 30d, max_bytes: 64MiB}, orders: %s}' % EVERYTHING)
        answered = a.append(3) + a.append(3, "orders")
        a.serve()
        wait_for("events", lambda: messages(server, "stock") and messages(server, "ledger-orders"))
        made = info(server, "stock")["config"]
        assert made["subjects"] == ["ledger.events.inventory.*"], made
        assert (made["num_replicas"], made["max_age"], made["max_bytes"]) == (
            3, 30 * 86400 * 10**9, 64 << 20), made
        assert (made["storage"], made["deny_delete"], made["deny_purge"]) == ("file", True, True), made
        plain = info(server, "ledger-orders")["config"]
        assert (plain["num_replicas"], plain["max_age"], plain["max_bytes"]) == (1, 0, -1), plain
        b = stage.node("b", [cluster(server)], '{inventory: {subscribe: true, stream: stock}}', "false")
        b.serve()
        wait_for("the events", lambda: len(set(answered) & b.hashes()) == 3)
        wait_for("the differences", lambda: "event=stream-differs" in b.log())
        assert info(server, "stock")["config"] == made


def streams_are_not_made_unless_the_config_says_so():
    with Stage() as stage:
        server = stage.server()
        a = stage.node("a", [cluster(server)], create="false")
        a.append(1)
        a.serve()
        wait_for("a word", lambda: "event=stream-missing" in a.log())
        a.stop()
        assert "error" in info(server, "ledger-inventory")


# --- What the page of servers permits

def whole_daemons_run_under_the_permissions_of_the_page():
    with Stage() as stage:
        users, stream, _ = from_page()
        os.environ.update(ADMIN_PASSWORD="pass-admin", STORE_A_PASSWORD="pass-a",
                          STORE_B_PASSWORD="pass-b")
        server = stage.server(users)
        admin = {"user": "admin", "pass": "pass-admin"}

        def make_streams():
            client = talk.Client(server.port, **admin)
            for name, domain in (("ledger-inventory", "inventory"), ("ledger-_ledger", "_ledger"),
                                 ("ledger-_ownership", "_ownership")):
                made = client.ask("STREAM.CREATE." + name, **dict(
                    stream, name=name, subjects=["ledger.events.%s.*" % domain], max_bytes=1 << 20))
                assert "error" not in made, made
            client.socket.close()

        make_streams()
        nodes = [stage.node("store-" + x, [cluster(server, rest="user: store-%s, password_file: %s" % (
            x, stage.secret("pass-" + x)))], "{inventory: %s}" % EVERYTHING, "false") for x in "ab"]
        a, b = nodes
        answered = a.append(300)
        for node in nodes:
            node.serve()
        wait_until_level(nodes)
        # What the stream has lost is asked for, and answered.
        b.stop()
        answered += a.append(300)
        wait_for("all published", lambda: a.unpublished() == 0)
        server.end(9)
        server.wipe()
        server.start()
        make_streams()
        b.serve()
        wait_until_level(nodes)
        assert set(answered) <= b.hashes()
        for node in nodes:
            node.stop()
            assert "event=denied" not in node.log(), node.log()
            node.run("verify")


TESTS = [
    credentials, nkey, user_and_password_file, token_file, tls_with_client_certificates,
    tls_refuses_strangers_and_strange_servers, mode_failover_sends_to_the_first_that_works,
    mode_dual_sends_to_two_at_once, priority_goes_before_the_order_in_the_config,
    a_domain_goes_to_its_clusters_alone, streams_are_made_as_the_config_says,
    streams_are_not_made_unless_the_config_says_so,
    whole_daemons_run_under_the_permissions_of_the_page,
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
