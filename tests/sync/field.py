"""field - where a storm takes place: three nodes, one to three servers, and a way between any two of
them that can be cut. Nodes are stopped, copied, restored and given wrong clocks and full disks here.
"""
import os
import re
import shutil
import signal
import sqlite3
import subprocess

import owners
from nodes import PATIENCE, PROGRAM, Node, wait_for
from servers import Proxy, Server, make_cluster

TOPOLOGIES = ["one", "two", "three", "cluster"]
DOMAINS = ["inventory", "orders"]
DISK = "64M"

HEADS = """SELECT c.origin, c.epoch, d.name, e.sequence, lower(hex(e.hash)) FROM chain AS c
JOIN domain AS d ON d.id = c.domain JOIN event AS e ON e.chain = c.id
AND e.sequence = (SELECT max(sequence) FROM event WHERE chain = c.id)"""
FORKED = """SELECT c.origin, c.epoch, d.name, e.sequence, lower(hex(e.hash)), lower(hex(e.prev))
FROM chain AS c JOIN domain AS d ON d.id = c.domain JOIN
(SELECT chain, sequence, hash, prev FROM event UNION SELECT chain, sequence, hash, prev FROM branch)
AS e ON e.chain = c.id WHERE c.id IN (SELECT chain FROM branch)"""


class Ground(Node):
    """A node of a storm: what else can happen to one."""

    def __init__(self, folder, name, ports, config):
        self.copies = []  # folders, oldest first
        self.last_restored = None
        self.in_place = False  # was it ever put back unseen?
        self.disk = False
        self.doubled = False  # another has its name
        self.filler = os.path.join(folder, name, "filler")
        self.paused = False
        super().__init__(folder, name, ports, config)

    def path(self, name):
        """Logs are beside the folder: its disk may be full."""
        return self.folder + "." + name if name.startswith("log.") else super().path(name)

    def query(self, sql, *arguments):
        """What its file holds, without asking the program."""
        db = sqlite3.connect("file:%s?mode=ro" % self.path("ledger.db"), uri=True, timeout=5)
        try:
            return db.execute(sql, arguments).fetchall()
        finally:
            db.close()

    def epoch(self):
        return self.query("SELECT epoch FROM seal")[0][0]

    def tips(self):
        """Of each chain the last events: one, or one of each branch where it is forked."""
        tips = {row[:3]: {row[3:]} for row in self.query(HEADS)}
        forked = {}
        for origin, epoch, domain, sequence, hash_of, prev in self.query(FORKED):
            events = forked.setdefault((origin, epoch, domain), ({}, set()))
            events[0][hash_of] = sequence
            events[1].add(prev)
        for chain, (events, continued) in forked.items():
            tips[chain] = {(sequence, hash_of) for hash_of, sequence in events.items()
                           if hash_of not in continued}
        return tips

    def all_hashes(self):
        return {row[0] for row in self.query(
            "SELECT lower(hex(hash)) FROM event UNION SELECT lower(hex(hash)) FROM branch")}

    # --- The daemon

    def serve(self, *words):
        self.paused = False
        super().serve(*words)

    def kill(self):
        self.paused = False
        super().kill()

    def stop(self):
        """Not before it listens to signals."""
        wait_for(self.name + " to start",
                 lambda: "event=started" in self.last_log() or self.has_no_lease())
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(PATIENCE)
        if code != 0 and not self.has_no_lease():
            raise AssertionError("%s ended with %d: %s" % (self.name, code, self.log()[-1500:]))

    def has_no_lease(self):
        """Its daemon has ended because another has its name."""
        return self.doubled and self.process is not None and self.process.poll() == 20

    def last_log(self):
        with open(self.path("log.%d" % self.starts), errors="replace") as file:
            return file.read()

    def pause(self):
        if self.is_running():
            self.process.send_signal(signal.SIGSTOP)
            self.paused = True

    def resume(self):
        if self.is_running():
            self.process.send_signal(signal.SIGCONT)
            self.paused = False

    # --- Its file

    def copy(self):
        """As a backup of the machine takes it while nothing is written."""
        to = "%s.copy%d" % (self.folder, len(self.copies))
        shutil.copytree(self.folder, to, symlinks=True,
                        ignore=shutil.ignore_patterns("filler", "nodes.yaml"))
        self.copies.append(to)

    def restore_file(self, copy):
        """The ledger of a copy as another file; the state folder knows better."""
        for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm"):
            if os.path.exists(self.path(name)):
                os.rename(self.path(name), self.path("was-" + name))
        for name in ("ledger.db", "ledger.db-wal"):
            if os.path.exists(os.path.join(copy, name)):
                shutil.copy2(os.path.join(copy, name), self.path(name))
        for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm"):
            if os.path.exists(self.path("was-" + name)):
                os.remove(self.path("was-" + name))
        self.last_restored = copy

    def restore_machine(self, copy):
        """Bytes of the copy in the same files, as a snapshot of the machine does it: nothing here can
        tell that it happened."""
        for folder, _, files in os.walk(self.folder):
            for name in files:
                old = os.path.join(copy, os.path.relpath(os.path.join(folder, name), self.folder))
                if not os.path.exists(old) and name not in ("filler", "nodes.yaml"):
                    os.remove(os.path.join(folder, name))
        for folder, _, files in os.walk(copy):
            for name in files:
                old = os.path.join(folder, name)
                now = os.path.join(self.folder, os.path.relpath(old, copy))
                with open(old, "rb") as source, open(now, "r+b" if os.path.exists(now) else
                                                     "wb") as target:
                    target.write(source.read())
                    target.truncate()
        self.last_restored = copy
        self.in_place = True

    # --- Its machine

    def set_clock(self, seconds):
        self.program = os.path.join(os.path.dirname(PROGRAM), "..", "tests", "ledgerbox-clock")
        self.environment["LEDGERBOX_TEST_CLOCK"] = str(seconds)

    def mount(self):
        os.makedirs(self.folder, exist_ok=True)
        self.disk = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=" + DISK, "none",
                                    self.folder], capture_output=True, check=False).returncode == 0

    def fill_disk(self):
        try:
            with open(self.filler, "ab", buffering=0) as file:
                while file.write(b"\0" * 65536):
                    pass
        except OSError:
            pass  # that is what was wanted

    def free_disk(self):
        if os.path.exists(self.filler):
            os.remove(self.filler)


class WatchedProxy(Proxy):
    """Sees each acknowledgement on its way to the server: by then the node's file must have committed
    the place that it stands for. (Stored commands are kept by their ids, not by their places.)"""
    ACK = re.compile(rb"PUB \$JS\.ACK\.ledger-(?!queue-)([^.]+)\.[^.]+\.\d+\.(\d+)\.")

    def __init__(self, port, name, cluster, field):
        self.name, self.cluster, self.field = name, cluster, field
        self.created = {}
        super().__init__(port)

    def mark(self):
        node = self.field.node_of(self.name)
        return node and node.starts

    def see(self, data, mark):
        for domain, sequence in self.ACK.findall(data):
            node = self.field.node_of(self.name)
            if (not node or not node.is_running() or node.starts != mark or
                    self.name in self.field.doubled):
                continue  # late: that process is gone, and its file may be an older one by now
            try:
                row = node.query("SELECT created, sequence FROM received WHERE cluster = ? AND "
                                 "domain = ?", self.cluster, domain.decode())
            except sqlite3.Error:
                continue
            # A stream that was made anew meanwhile, or an older ledger, proves nothing.
            same = row and self.created.get(domain, row[0][0]) == row[0][0]
            self.created[domain] = row[0][0] if row else 0
            if not row or (same and row[0][1] < int(sequence)):
                self.field.early.append((self.name, self.cluster, domain.decode(), int(sequence), row))


class Field:
    def __init__(self, folder, random):
        self.folder = folder
        self.topology = random.choice(TOPOLOGIES)
        self.proxies = {}  # (who, server) to the way between them
        self.nodes, self.early = [], []
        self.doubled = set()  # names that two ledgers have: they share ways
        self.make_servers()
        replicas = random.choice([1, 3]) if self.topology == "cluster" else 1
        mode = random.choice(["failover", "dual"]) if self.topology in ("two", "three") else "failover"
        self.picky = random.choice([None, None, "c"])  # does not take orders
        every = "{propagate: true, subscribe: true, replicas: %d, mode: %s}" % (replicas, mode)
        full = random.choice(["a", "b", "c", None])
        for name in ("a", "b", "c"):
            self.nodes.append(self.make_node(name, every, name == full))
        self.key = bytes.fromhex(open(os.path.join(folder, "shared.key")).read().strip())

    def make_servers(self):
        if self.topology == "cluster":
            self.servers = make_cluster(self.folder, "nats", self.route)
            for server in self.servers:
                server.clustered = False  # nodes wait for a leader by themselves
        else:
            n = ["one", "two", "three"].index(self.topology) + 1
            self.servers = [Server(self.folder, "nats%d" % i) for i in range(1, n + 1)]
        for server in self.servers:
            server.paused = server.lowered = False
            server.launch()
        for server in self.servers:
            wait_for(server.name, server.is_ready)

    def route(self, i, j, port):
        proxy = Proxy(port)
        self.proxies["nats%d" % (i + 1), "nats%d" % (j + 1)] = proxy
        return proxy.port

    def make_node(self, name, every, mount):
        ports = []
        for i, server in enumerate(self.servers, 1):
            cluster = "c1" if self.topology == "cluster" else "c%d" % i
            proxy = WatchedProxy(server.port, name, cluster, self)
            self.proxies[name, server.name] = proxy
            ports.append(proxy.port)
        config = 'domains: {"*": %s' % every
        if name == self.picky:
            config += ", orders: {propagate: true}"
        node = Ground.__new__(Ground)
        if mount:
            node.folder = os.path.join(self.folder, name)
            node.mount()
            disk = node.disk
        node.__init__(self.folder, name, [ports] if self.topology == "cluster" else ports,
                      config + "}\n" + owners.CONFIG)
        node.disk = mount and disk
        return node

    def node_of(self, name):
        return next((n for n in self.nodes if n.name == name), None)

    def takes(self, node, chain):
        return not (node.name == self.picky and chain[2] == "orders" and chain[0] != node.name)

    def running(self):
        """Servers that answer."""
        return [s for s in self.servers if s.process.poll() is None and not s.paused]

    def end(self):
        for node in self.nodes:
            node.kill()
            if node.disk:
                subprocess.run(["umount", "-l", node.folder], check=False)
        for server in self.servers:
            if server.process and server.process.poll() is None:
                server.process.kill()
                server.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- All is up again

    def mend(self):
        for proxy in self.proxies.values():
            proxy.mend()
        for node in self.nodes:
            node.free_disk()
        for server in self.servers:
            if server.process.poll() is None:
                server.signal(signal.SIGCONT)
                server.paused = False
                if server.lowered:
                    server.end(signal.SIGKILL)
        for server in self.servers:
            if server.process.poll() is not None:
                server.extra = ""
                server.launch()
        self.wait_for_servers()
        for node in self.nodes:
            node.resume()
            if not node.is_running():
                node.serve()

    def renew_stores(self):
        """A cluster whose blocks were damaged may find no leader of a stream ever again: an operator
        gives it a new store."""
        for server in self.servers:
            server.end(signal.SIGKILL)
            server.wipe()
        for server in self.servers:
            server.launch()
        self.wait_for_servers()

    def wait_for_servers(self):
        """One whose store is beyond it is given a new one, as an operator would."""
        for server in self.servers:
            try:
                wait_for(server.name, server.is_ready)
            except RuntimeError:
                if server.process.poll() is None:
                    server.end(signal.SIGKILL)
                server.wipe()
                server.launch()
        for server in self.servers:
            wait_for(server.name, server.is_ready)
