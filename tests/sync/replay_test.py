#!/usr/bin/env python3
"""replay - two nodes with the same events, which reached each in another order: what is made of them is the same."""
import json
import os
import sqlite3
import sys
import traceback

from converge_test import Stage
from nodes import wait_until_level

# What depends on the order: numbered as they come, and the last one wins.
CONFIG = """domains: {"*": {propagate: true, subscribe: true}}
reducers: {thing: {initial: "[]", apply: {"*": "json_insert(:state, '$[#]', :payload->>'$.n')"}}}
projections:
  log:
    database: log.db
    schema: log.sql
    apply:
      t: "insert into log (id, domain, n) values (:id, :domain, :payload->>'$.n');
        insert into last values (:stream_key, :id) on conflict do update set id = excluded.id"
"""
SCHEMA = """create table log (number integer primary key, id text, domain text, n integer) strict;
create table last (key text primary key, id text) strict;"""


def put(node, *numbers, domain="inventory"):
    lines = "".join('{"domain":"%s","type":"t","stream":"thing/%d","payload":{"n":%d}}\n' %
                    (domain, n % 3, n) for n in numbers)
    node.run("append", "-q", lines=lines)


def dump(node):
    """All of it, but for where it stands: positions are a node's own."""
    db = sqlite3.connect(node.path("log.db"))
    lines = [line for line in db.iterdump() if not line.startswith('INSERT INTO "ledgerbox_')]
    db.close()
    return lines


def rebuild(node, order):
    node.run("replay", "log", "--rebuild", "--order", order, "-q")
    return dump(node)


def states(node):
    out = node.run("state", "--all", "thing/", "--format", "json").stdout
    found = [json.loads(line) for line in out.splitlines()]
    for state in found:
        state.pop("position")
        state["last"].pop("position")
    return sorted(found, key=lambda state: (state["domain"], state["stream"]))


def prepare(stage):
    for node in stage.nodes:
        node.set_config(stage.ports, CONFIG)
        with open(node.path("log.sql"), "w") as file:
            file.write(SCHEMA)
        os.chmod(node.folder, 0o755)


def exchange(stage):
    stage.serve()
    wait_until_level(stage.nodes)
    for node in stage.nodes:
        node.stop()


def two_nodes_with_the_same_events_rebuild_identical_projections_and_states():
    with Stage(["a", "b"]) as stage:
        a, b = stage.nodes
        prepare(stage)
        for i in range(5):
            put(a, 10 * i, 10 * i + 1)
            put(b, 10 * i + 2)
            put(b, 10 * i + 3, domain="orders")
            put(a, 10 * i + 4, domain="orders")
        exchange(stage)
        # The order of arrival is another one, or this would show nothing.
        assert rebuild(a, "arrival") != rebuild(b, "arrival")
        assert rebuild(a, "shared") == rebuild(b, "shared")
        assert sum("INTO \"log\"" in line for line in dump(a)) == 25
        assert states(a) == states(b) and len(states(a)) == 6
        out = [node.run("replay", "--stdout", "--order", "shared").stdout for node in stage.nodes]
        hashes = [[json.loads(line)["hash"] for line in text.splitlines()] for text in out]
        assert hashes[0] == hashes[1] and len(hashes[0]) == 25


def a_late_event_of_another_node_makes_it_stale_and_a_rebuild_equal_again():
    with Stage(["a", "b"]) as stage:
        a, b = stage.nodes
        prepare(stage)
        put(a, 1)
        rebuild(a, "shared")
        put(b, 2)
        put(a, 3)
        a.run("replay", "log", "-q")
        before = dump(a)
        exchange(stage)
        said = a.run("replay", "log", expect=14)
        assert "projection log is stale" in said.stderr and "came late" in said.stderr
        assert "ledgerbox replay log --rebuild" in said.stderr
        assert dump(a) == before
        shown = json.loads(a.run("status", "--format", "json").stdout)["consumers"]
        assert "stale" in json.dumps(shown), shown
        assert rebuild(a, "shared") == rebuild(b, "shared")
        a.run("replay", "log", "-q")


TESTS = [
    two_nodes_with_the_same_events_rebuild_identical_projections_and_states,
    a_late_event_of_another_node_makes_it_stale_and_a_rebuild_equal_again,
]


def main():
    failed = 0
    print("1..%d" % len(TESTS))
    for i, test in enumerate(TESTS, 1):
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
