#!/usr/bin/env python3
"""storm - one schedule of faults, drawn from a seed, and what must hold when all is up again.

Claim 5 of the design: every node has every event of the domains it takes and all heads are equal, or
every node shows the same fork with both branches. Beyond that: no answered event is lost while any
node has it, every ledger verifies, what was injected is in quarantine, and what owners.py says of owned
streams and commands.
"""
import json
import os
import random
import re
import shutil
import sqlite3
import sys
import tempfile
import time

import faults
import owners
from field import Field
from nodes import wait_for
from talk import Client

STEPS = 30
PATIENCE = int(os.environ.get("STORM_PATIENCE", "120"))


class Storm:
    def __init__(self, seed, names):
        self.seed = seed
        chance = random.Random(seed)
        kinds = chance.choices([faults.USUAL, owners.USUAL, faults.FAULTS], [30, 30, 40], k=STEPS)
        self.plan = [(chance.choice(kind), chance.randrange(1 << 30)) for kind in kinds]
        if names:
            known = {**faults.NAMES, **owners.NAMES}
            self.plan = [(known[name], chance.randrange(1 << 30)) for name in names]
        self.field = Field(tempfile.mkdtemp(prefix="storm."), chance)
        self.must = set()  # hashes of what was answered, and not lost with the only ledger that had it
        self.twins = []  # (node, another with its name)
        self.heard = []  # statements of heads
        self.rewound = False  # was a ledger put back, or is one there twice?
        self.deeds = owners.Deeds()
        self.done = ["(%s)" % self.field.topology]

    def end(self):
        for _, twin in self.twins:
            twin.kill()
        self.field.end()

    def keep(self, folder):
        """What is needed to find out why it failed."""
        shutil.copytree(self.field.folder, folder, ignore=shutil.ignore_patterns("filler", "js"),
                        dirs_exist_ok=True)

    # --- For faults

    def record(self, node, n, domain, size=0, event_id=None):
        """What is answered must not be lost."""
        event = {"domain": domain, "type": "t", "stream": "product/p%d" % (n % 7)}
        if event_id:
            event["id"] = event_id
        lines = "".join(json.dumps(dict(event, payload={"n": i, "text": "x" * (size if i < 8 else 0)}))
                        + "\n" for i in range(n))
        # A full disk, a restored file, a stopped daemon that holds the lock: what was answered counts.
        out = node.run("append", "--format", "json", lines=lines, expect=None).stdout
        self.must |= {json.loads(line)["hash"] for line in out.splitlines()}

    def everybody(self):
        return self.field.nodes + [twin for _, twin in self.twins]

    def forget_what_nobody_has(self):
        """An older state was put back: what no other node had got is gone, as everybody knows who puts
        back an older state."""
        have = set()
        for node in self.everybody():
            have |= node.all_hashes()
        self.must &= have

    def bad_messages(self, chance):
        """(subject, line) of every kind, made of the last event of some chain."""
        node, domain = self.field.nodes[0], chance.choice(["inventory", "_ownership"])
        out = node.run("tail", "-n", "1", "--format", "json", "--domain", domain, "--origin",
                       chance.choice("abc"), expect=None).stdout
        if not out.strip():
            return []
        line = re.sub(r'"position":\d+,', "", out.strip(), count=1)
        subject = "ledger.events.%s.%s" % (domain, json.loads(line)["origin"])
        return [(subject, bad) for _, bad in faults.forge.bad_lines(line, chance)]

    # --- The schedule

    def run(self):
        for node, stream in zip(self.field.nodes, owners.STREAMS):
            self.record(node, 3, "inventory")
            owners.own(self, node, "claim", stream)
            node.serve()
        for fault, seed in self.plan:
            self.done.append(fault.__name__)
            fault(self, random.Random(seed))
        self.field.mend()
        self.end_twins()
        self.wait_until_level(self.field.nodes)
        self.inject_all()
        self.wait_until_level(self.field.nodes)
        owners.wait_until_settled(self, PATIENCE)
        self.wait_until_level(self.field.nodes)
        self.check()

    def end_twins(self):
        """One of two with a name at a time: what it has recorded reaches the others. Who comes second is
        refused (20) as long as the lease of the first lasts, and started again."""
        for node, twin in self.twins:
            node.stop()
            if not twin.is_running():
                twin.serve()
            others = [n for n in self.field.nodes if n is not node]
            self.wait_until_level(others + [twin])
            twin.stop()
            node.serve()

    # --- What must hold

    def differences(self, nodes):
        """Chains whose ends are not the same on two nodes that take them."""
        tips = [node.tips() for node in nodes]
        chains = set().union(*tips)
        return [(chain, [(n.name, sorted(t.get(chain, ()))) for n, t in zip(nodes, tips)
                         if self.field.takes(n, chain)])
                for chain in sorted(chains)
                if len({frozenset(t.get(chain, ())) for n, t in zip(nodes, tips)
                        if self.field.takes(n, chain)}) > 1]

    @staticmethod
    def keep_running(nodes):
        """One whose name another had for a while is started again."""
        for node in nodes:
            if not node.is_running() and node.has_no_lease():
                node.serve()
                time.sleep(0.5)
            elif not node.is_running():
                raise AssertionError("%s has ended: %s" % (node.name, node.log()[-1500:]))

    def is_level(self, nodes):
        self.keep_running(nodes)
        try:
            return not self.differences(nodes)
        except sqlite3.Error:
            return False

    def wait_until_level(self, nodes):
        try:
            wait_for("equal heads", lambda: self.is_level(nodes), PATIENCE)
        except AssertionError as e:
            raise AssertionError("%s\n%s\n%s" % (e, "\n".join(
                "%s %s" % pair for pair in self.differences(nodes)),
                "\n".join("%s: %s" % (n.folder, n.log()[-1500:]) for n in nodes))) from e

    def inject_all(self):
        """One message of every kind, until every node has it in quarantine: a stream may be of the kind
        that keeps two messages, and a server of the kind whose store is beyond repair."""
        chance = random.Random(self.seed)
        renew = time.monotonic() + PATIENCE / 4
        for subject, line in self.bad_messages(chance):
            deadline = time.monotonic() + PATIENCE
            while not self.is_refused(line):
                if renew and time.monotonic() > renew:
                    self.field.renew_stores()
                    renew = None
                if time.monotonic() > deadline:
                    raise AssertionError("not in quarantine everywhere: %r on %s" % (
                        line[:600], [n.name for n in self.field.nodes
                                     if not self.has_refused(n, line)]))
                self.keep_running(self.field.nodes)
                self.publish(subject, line, chance)

    def publish(self, subject, line, chance):
        server = chance.choice(self.field.servers)
        try:
            client = Client(server.port, patience=2)
            client.publish(subject, line + b"\n")
            client.settle()
            client.socket.close()
        except OSError:
            pass
        until = time.monotonic() + 3
        while time.monotonic() < until and not self.is_refused(line):
            time.sleep(0.02)

    @staticmethod
    def has_refused(node, line):
        try:
            return bool(node.query("SELECT 1 FROM quarantine WHERE bytes = ? UNION ALL "
                                   "SELECT 1 FROM dropped WHERE messages > 0 LIMIT 1", line))
        except sqlite3.Error:
            return False

    def is_refused(self, line):
        return all(self.has_refused(node, line) for node in self.field.nodes)

    def check(self):
        if self.field.early:
            raise AssertionError("acknowledged before the commit: %s" % self.field.early[:3])
        forked = self.is_forked()
        if forked and not any(node.in_place for node in self.everybody()):
            raise AssertionError("a fork that nobody made")
        for node in self.field.nodes:
            node.stop()
        heads = []
        for node in self.everybody():
            node.run("verify", expect=3 if forked else 0)
            if bool(node.run("fork", "list", expect=None).stdout) != forked:
                raise AssertionError("%s shows %s fork" % (node.name, "no" if forked else "a"))
        for node in self.field.nodes:
            missing = self.wanted(node) - node.all_hashes()
            if missing:
                raise AssertionError("%s lacks %d answered events" % (node.name, len(missing)))
            heads.append((node, node.chains()))
        self.check_heads(heads, forked)
        owners.check(self)

    def is_forked(self):
        return any(len(tips) > 1 for node in self.field.nodes for tips in node.tips().values())

    def wanted(self, node):
        """Answered events of the domains that it takes."""
        if node.name != self.field.picky:
            return set(self.must)
        others = {row[0] for other in self.field.nodes if other is not node for row in other.query(
            "SELECT lower(hex(e.hash)) FROM event AS e JOIN chain AS c ON c.id = e.chain "
            "JOIN domain AS d ON d.id = c.domain WHERE d.name = 'orders' AND c.origin <> ?", node.name)}
        return self.must - others

    def check_heads(self, heads, forked):
        """What the program says of it is what its file holds."""
        if forked:
            return
        for node, lines in heads:
            said = {tuple(line.split()[:4]) for line in lines}
            held = {(c[0], str(c[1]), c[2], str(next(iter(t))[0])) for c, t in node.tips().items()}
            if said != held:
                raise AssertionError("%s: heads say %s, the file %s" % (node.name, said, held))


def main():
    """storm.py SEED [FAULT ...]: one schedule, drawn or as it is given; on stderr why it failed."""
    storm = Storm(int(sys.argv[1]), sys.argv[2:])
    try:
        storm.run()
        print("held", file=sys.stderr)
    except BaseException:
        if os.environ.get("STORM_KEEP"):
            storm.keep(os.path.join(os.environ["STORM_KEEP"], sys.argv[1]))
        raise
    finally:
        print(" ".join(storm.done), file=sys.stderr)
        storm.end()


if __name__ == "__main__":
    os.chdir(os.path.dirname(os.path.realpath(__file__)) + "/../..")
    main()
