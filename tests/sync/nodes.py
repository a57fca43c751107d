"""nodes - ledgers with their daemons, for tests that let them converge."""
import json
import os
import shutil
import signal
import subprocess
import time

PATIENCE = 60  # seconds; a condition is waited for, not the time
PROGRAM = os.path.realpath(os.environ.get("LEDGERBOX_BIN", "build/cmd/ledgerbox"))


def wait_for(what, condition, patience=PATIENCE):
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("waited in vain for " + what)
        time.sleep(0.05)


class Node:
    """One ledger in a folder of its own. All nodes of a test share a key."""

    def __init__(self, folder, name, ports, config=""):
        self.name = name
        self.program = PROGRAM
        self.folder = os.path.join(folder, name)
        self.process = None
        self.starts = 0
        os.makedirs(self.folder, exist_ok=True)
        self.environment = {"PATH": os.environ["PATH"], "TZ": "UTC", "LC_ALL": "C.UTF-8",
                            "XDG_STATE_HOME": os.path.join(self.folder, "state")}
        leaks = os.path.join(os.path.dirname(os.path.realpath(__file__)), "libnats.leaks")
        self.environment["LSAN_OPTIONS"] = "print_suppressions=0:suppressions=" + leaks
        for name_of in os.environ:
            if name_of.endswith("SAN_OPTIONS"):
                self.environment[name_of] = os.environ[name_of]
        key = os.path.join(folder, "shared.key")
        if not os.path.exists(key):
            with open(os.open(key, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
                file.write(os.urandom(32).hex() + "\n")
        shutil.copy2(key, self.path("ledger.key"))
        self.set_config(ports, config)
        self.run("init", "--node", name, "-q", "--database", "ledger.db", "--key-file",
                 "ledger.key", config=False)

    def path(self, name):
        return os.path.join(self.folder, name)

    def set_config(self, ports, config=""):
        """`ports`: of each cluster the port of its server, or a list of them."""
        clusters = ""
        for i, of_one in enumerate(ports, 1):
            urls = ", ".join('"nats://127.0.0.1:%d"' % port
                             for port in (of_one if isinstance(of_one, list) else [of_one]))
            clusters += "  c%d: {urls: [%s], priority: %d}\n" % (i, urls, i)
        with open(self.path("nodes.yaml"), "w") as file:
            file.write("node: %s\ndatabase: ledger.db\nkeys: {sign: ledger.key}\nclusters:\n%s"
                       "sync: {create_streams: true}\n%s" % (self.name, clusters, config or
                       'domains: {"*": {propagate: true, subscribe: true}}\n'))

    def run(self, *words, lines=None, config=True, expect=0):
        command = [self.program, *words]
        if config:
            command += ["--config", "nodes.yaml"]
        done = subprocess.run(command, cwd=self.folder, env=self.environment, input=lines,
                              capture_output=True, text=True, check=False)
        if expect is not None and done.returncode != expect:
            raise AssertionError("%s: %s is %d: %s%s" % (self.name, " ".join(words),
                                 done.returncode, done.stdout[-500:], done.stderr[-1500:]))
        return done

    # --- Events

    def append(self, n, domain="inventory"):
        """Answers: what was recorded for sure."""
        lines = "".join('{"domain":"%s","type":"t","payload":{"n":%d}}\n' % (domain, i)
                        for i in range(n))
        # A daemon that was stopped may hold the lock: what was answered counts.
        out = self.run("append", "--format", "json", lines=lines, expect=None).stdout
        return [json.loads(line)["hash"] for line in out.splitlines()]

    def chains(self):
        """What it has: chain to last hash and sequence, as status says it."""
        out = self.run("status", "--heads", expect=None).stdout
        return sorted(line for line in out.splitlines() if line and not line.startswith("#"))

    def hashes(self):
        out = self.run("tail", "-n", "all", "--format", "json").stdout
        return {json.loads(line)["hash"] for line in out.splitlines()}

    # --- The daemon

    def unpublished(self):
        return json.loads(self.run("status", "--format", "json").stdout)["sync"]["unpublished"]

    def serve(self, *words):
        self.starts += 1
        with open(self.path("log.%d" % self.starts), "w") as log:
            self.process = subprocess.Popen([self.program, "serve-sync", "--config", "nodes.yaml",
                                             *words], cwd=self.folder, env=self.environment,
                                            stderr=log, stdout=log, stdin=subprocess.DEVNULL)

    def log(self):
        text = ""
        for i in range(1, self.starts + 1):
            with open(self.path("log.%d" % i), errors="replace") as file:
                text += file.read()
        return text

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(PATIENCE)
        if code != 0:
            raise AssertionError("%s ended with %d: %s" % (self.name, code, self.log()[-1500:]))

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def is_running(self):
        return self.process is not None and self.process.poll() is None


def level(nodes):
    heads = [node.chains() for node in nodes]
    return all(h == heads[0] for h in heads)


def wait_until_level(nodes, patience=PATIENCE):
    for node in nodes:
        if not node.is_running():
            raise AssertionError(node.name + " has ended: " + node.log()[-1500:])
    try:
        wait_for("equal heads", lambda: level(nodes), patience)
    except AssertionError as e:
        said = ["%s\n%s\n%s" % (n.name, "\n".join(n.chains()), n.log()[-2500:]) for n in nodes]
        raise AssertionError(str(e) + "\n" + "\n".join(said)) from e
