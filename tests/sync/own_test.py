#!/usr/bin/env python3
"""own - nodes with daemons and a real server: a stream has one writer, whatever happens."""
import json
import os
import sys
import threading
import traceback

from converge_test import Stage
from nodes import PROGRAM, wait_for, wait_until_level

CONFIG = ('domains: {"*": {propagate: true, subscribe: true}}\n'
          "stream_types: {product: {domain: inventory, owned: true}}\n")
MAY_SAY = (0, 11, 20)  # recorded; not the owner; changing hands, or the ledger is busy


def owned(stage):
    for node in stage.nodes:
        node.set_config(stage.ports, CONFIG)
    return stage.nodes


def write(node, *words):
    return node.run("append", "-t", "changed", "-s", "product/1", *words, "n:=1", expect=None)


def owner(node, stream="product/1"):
    said = node.run("own", "show", stream, "--format", "json", expect=None)
    return json.loads(said.stdout) if said.returncode == 0 else None


def events(node):
    out = node.run("tail", "-n", "all", "--format", "json").stdout
    return sorted((json.loads(line) for line in out.splitlines()),
                  key=lambda e: (e["clock"], e["origin"], e["epoch"]))


class Writer(threading.Thread):
    """Goes on writing to one stream, whoever owns it."""

    def __init__(self, node):
        super().__init__()
        self.node, self.codes, self.over = node, [], False
        self.start()

    def run(self):
        while not self.over:
            self.codes.append(write(self.node).returncode)


def a_stream_has_one_writer_while_it_changes_hands():
    with Stage(["store-a", "store-b"]) as stage:
        a, b = owned(stage)
        stage.serve()
        assert write(a, "--create").returncode == 0
        wait_for("the owner at b", lambda: owner(b))
        assert write(b).returncode == 11
        writers = [Writer(a), Writer(b)]
        try:
            hands = [a, b, a]
            for before, after in zip(hands, hands[1:]):
                before.run("own", "transfer", "product/1", after.name, "--ttl", "10m")
                wait_for("the offer", lambda n=after: owner(n).get("next") == n.name)
                after.run("own", "accept", "product/1")
                writer = writers[[a, b].index(after)]
                done = writer.codes.count(0)
                wait_for("the new owner to write", lambda w=writer, n=done: w.codes.count(0) > n + 2)
        finally:
            for writer in writers:
                writer.over = True
                writer.join()
        for writer in writers:
            assert set(writer.codes) <= set(MAY_SAY), set(writer.codes)
        wait_until_level(stage.nodes)
        check_turns(events(a))
        assert [e["hash"] for e in events(a)] == [e["hash"] for e in events(b)]
        assert owner(a)["node"] == owner(b)["node"] == "store-a"
        stage.verify()


def check_turns(log):
    """Each event is the owner's, who has not offered the stream; its versions neither repeat nor skip."""
    holder, version, offered = None, 0, False
    for e in log:
        if e["domain"] == "_ownership":
            offered = e["type"] in ("offered", "accepted")
            if e["type"] in ("claimed", "transferred"):
                holder = e["payload"].get("to", e["origin"])
            continue
        if e.get("stream") != "product/1":
            continue
        version += 1
        assert not offered and e["origin"] == holder and e["version"] == version, e
    assert version > 6


def claims_made_while_apart_end_in_one_owner_and_one_remark():
    with Stage(["store-a", "store-b", "store-c"]) as stage:
        a, b, c = owned(stage)
        assert write(b, "--create").returncode == 0
        assert write(a, "--create").returncode == 0
        assert write(a).returncode == 0
        stage.serve()
        wait_until_level(stage.nodes)
        remarks = {n.run("own", "conflicts", "--format", "json").stdout.replace(
            '"here":true', '"here":false') for n in stage.nodes}
        assert len(remarks) == 1, remarks
        remark = json.loads(remarks.pop())
        assert remark["node"] == "store-b", remark
        assert [claim["node"] for claim in remark["claims"]] == ["store-b", "store-a"], remark
        for node in (a, c):
            refused = write(node)
            assert refused.returncode == 11 and "store-b" in refused.stderr, refused
        assert write(b).returncode == 0
        assert sum(e.get("stream") == "product/1" for e in events(c)) >= 3
        stage.verify()


def the_daemon_takes_back_an_offer_that_has_expired():
    with Stage(["store-a", "store-b"]) as stage:
        a, b = owned(stage)
        assert write(a, "--create").returncode == 0
        stage.serve()
        a.run("own", "transfer", "product/1", "store-b", "--ttl", "1s")
        wait_for("the end of the offer", lambda: owner(a)["state"] == "held")
        wait_for("the end of it at b", lambda: owner(b) and owner(b)["state"] == "held")
        assert b.run("own", "accept", "product/1", expect=None).returncode == 1
        assert events(a)[-1]["payload"]["reason"] == "expired"


def a_daemon_whose_clock_is_wrong_says_so_and_goes_on():
    with Stage(["store-a", "store-b"]) as stage:
        a, _ = owned(stage)
        assert write(a, "--create").returncode == 0
        a.run("own", "transfer", "product/1", "store-b", "--ttl", "1s")
        program = a.program
        a.program = os.path.join(os.path.dirname(PROGRAM), "..", "tests", "ledgerbox-clock")
        a.environment["LEDGERBOX_TEST_CLOCK"] = str(200 * 366 * 86400)
        stage.serve()
        wait_for("what it says", lambda: "clock" in a.log() and "the clock of this machine says 22" in a.log())
        a.stop()
        assert a.log().count("the clock of this machine says") == 1, a.log()
        a.program = program
        del a.environment["LEDGERBOX_TEST_CLOCK"]
        a.serve()
        wait_for("the end of the offer", lambda: owner(a)["state"] == "held")


def a_strict_claim_is_refused_early_and_recorded_where_nobody_answers():
    with Stage(["store-a", "store-b"]) as stage:
        a, b = stage.nodes
        for node in stage.nodes:
            node.set_config(stage.ports, CONFIG)
            with open(node.path("nodes.yaml")) as file:
                text = file.read().replace("create_streams: true",
                                           "create_streams: true, claims: strict")
            with open(node.path("nodes.yaml"), "w") as file:
                file.write(text)
        assert write(a, "--create").returncode == 0
        refused = write(b, "--create")  # no daemon runs: only the bucket can tell
        assert refused.returncode == 11 and "store-a" in refused.stderr, refused
        assert owner(b) is None
        a.run("own", "claim", "-", lines="product/2\nproduct/3\n")
        refused = b.run("own", "claim", "-", lines="product/4\nproduct/3\n", expect=11)
        assert "line 2: stream product/3 is being claimed by store-a" in refused.stderr, refused
        assert owner(b, "product/4")["node"] == "store-b"
        stage.serve()
        wait_until_level(stage.nodes)
        assert write(b).returncode == 11
        stage.servers[0].end(9)
        alone = b.run("append", "-t", "t", "-s", "product/5", "--create", "n:=1")
        assert "nobody could be asked" in alone.stderr, alone
        assert owner(b, "product/5")["node"] == "store-b"


TESTS = [
    a_strict_claim_is_refused_early_and_recorded_where_nobody_answers,
    a_stream_has_one_writer_while_it_changes_hands,
    claims_made_while_apart_end_in_one_owner_and_one_remark,
    the_daemon_takes_back_an_offer_that_has_expired,
    a_daemon_whose_clock_is_wrong_says_so_and_goes_on,
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
