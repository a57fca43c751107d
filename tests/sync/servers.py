#!/usr/bin/env python3
"""servers - start NATS servers for a test, and do to them what goes wrong with servers.

usage: servers.py FOLDER

Reads commands on stdin, a line each, and answers each with a line: `ok WORD …` or `error TEXT`.
Everything ends, and FOLDER is removed, when stdin does. Tests in Python use the classes.

start NAME [KIND]       a server: plain, tls, user, token, nkey, creds     ok PORT
cluster NAME            three of them: NAME1, NAME2, NAME3                 ok PORT PORT PORT
stop|kill NAME          SIGTERM, SIGKILL; returns when it has ended        ok
pause|resume NAME       SIGSTOP, SIGCONT                                   ok
again NAME              start one that has ended, on its port              ok PORT
wipe NAME               remove what one that has ended has stored          ok
set NAME LINE           add a line to the config and load it               ok
proxy NAME              a way to it that can be cut                        ok PORT
cut|hold|mend NAME      its proxy: closed, silent, as before               ok
moved NAME              what its proxy has sent to clients                 ok BYTES
fake NAME               a server that only writes down what it is sent     ok PORT
heard NAME              what it was sent, in hex                           ok HEX
"""
import ctypes
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import identities

PATIENCE = 30  # seconds; a condition is waited for, not the time


def free_port():
    """Below those that the kernel gives to outgoing connections: nobody gets it in between."""
    while True:
        port = random.randrange(15000, 32000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


def wait_for(what, condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError("waited in vain for " + what)
        time.sleep(0.01)


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Server:
    def __init__(self, folder, name, config="", clustered=False):
        self.name = name
        self.folder = os.path.join(folder, name)
        self.port = free_port()
        self.clustered = clustered
        self.starts = 0
        self.process = None
        self.extra = ""  # of the config, for a while
        os.makedirs(self.folder)
        self.config = ('server_name: %s\nlisten: "127.0.0.1:%d"\n'
                       'jetstream: {store_dir: "%s/js", max_mem: 64MB, max_file: 2GB}\n%s'
                       % (name, self.port, self.folder, config))

    def path(self, name):
        return os.path.join(self.folder, name)

    def write_config(self):
        with open(self.path("config"), "w") as file:
            file.write(self.config + self.extra)

    def log(self):
        with open(self.path("log.%d" % self.starts), errors="replace") as file:
            return file.read()

    def launch(self):
        if self.process and self.process.poll() is None:
            raise RuntimeError(self.name + " is running")
        self.starts += 1
        self.write_config()
        with open(self.path("log.%d" % self.starts), "w") as log:
            self.process = subprocess.Popen(["nats-server", "-c", self.path("config")], stdout=log,
                                            stderr=log, stdin=subprocess.DEVNULL,
                                            preexec_fn=die_with_parent)

    def is_ready(self):
        if self.process.poll() is not None:
            raise RuntimeError("%s ended: %s" % (self.name, self.log()[-500:]))
        return "Server is ready" in self.log() and (not self.clustered or self.has_leader())

    def has_leader(self):
        """Does a question through this server come to one who decides where streams go?"""
        from talk import Client  # which needs this module
        try:
            client = Client(self.port, patience=1)
            try:
                return "error" not in client.ask("INFO")
            finally:
                client.socket.close()
        except OSError:
            return False

    def start(self):
        self.launch()
        wait_for(self.name, self.is_ready)
        return self.port

    def signal(self, number):
        self.process.send_signal(number)

    def threads_are_stopped(self):
        """SIGSTOP takes its time: a thread may run on after kill(2) has returned."""
        folder = "/proc/%d/task" % self.process.pid
        states = []
        for thread in os.listdir(folder):
            with open("%s/%s/stat" % (folder, thread)) as file:
                states.append(file.read().rsplit(")", 1)[1].split()[0])
        return set(states) == {"T"}

    def pause(self):
        self.signal(signal.SIGSTOP)
        wait_for(self.name + " to stop", self.threads_are_stopped)

    def end(self, number):
        self.signal(number)
        if number != signal.SIGKILL:
            self.signal(signal.SIGCONT)
        self.process.wait(PATIENCE)

    def wipe(self):
        shutil.rmtree(self.path("js"), ignore_errors=True)

    def set(self, line):
        self.config += line + "\n"
        self.write_config()
        before = self.log().count("Reloaded server configuration")
        self.signal(signal.SIGHUP)
        wait_for("the new config",
                 lambda: self.log().count("Reloaded server configuration") > before)


def make_cluster(folder, name, way=lambda i, j, port: port):
    """Three; `way`: the port under which server i reaches the routes of server j, a proxy's say.
    Between any two there is one way; port 1 stands for none: as many routes as servers are wanted."""
    routes = [free_port() for _ in range(3)]
    servers = []
    for i in range(3):
        ports = [way(i, j, routes[j]) if j < i else routes[i] if j == i else 1 for j in range(3)]
        servers.append(Server(folder, "%s%d" % (name, i + 1),
                              'cluster: {name: %s, listen: "127.0.0.1:%d", no_advertise: true, '
                              'advertise: "127.0.0.1:1", routes: [%s]}\n'
                              % (name, routes[i],
                                 ", ".join('"nats://127.0.0.1:%d"' % port for port in ports)),
                              clustered=True))
    return servers


class Proxy:
    """Forwards connections to a port while it is open; silent: keeps them and moves nothing."""

    def __init__(self, target):
        self.target = target
        self.silent = threading.Event()
        self.closed = False
        self.moved = 0
        self.pairs = []
        self.lock = threading.Lock()
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.socket.accept()
            try:
                with self.lock:
                    if self.closed:
                        raise OSError("cut")
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                client.close()
                continue
            with self.lock:
                self.pairs.append((client, server))
            mark = self.mark()
            for a, b in ((client, server), (server, client)):
                threading.Thread(target=self.forward, args=(a, b, mark), daemon=True).start()

    def forward(self, a, b, mark):
        try:
            while True:
                data = a.recv(65536)
                if a.getsockname()[1] == self.port:
                    self.see(data, mark)
                while self.silent.is_set():
                    time.sleep(0.01)
                if not data:
                    break
                b.sendall(data)
                if b.getsockname()[1] == self.port:
                    self.moved += len(data)
        except OSError:
            pass
        self.drop((a, b))

    def mark(self):
        """Of a connection, given back to `see`."""

    def see(self, data, mark):
        """What a client is about to send."""

    @staticmethod
    def drop(pair):
        for s in pair:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        with self.lock:
            self.closed = True
            pairs, self.pairs = self.pairs, []
        for pair in pairs:
            self.drop(pair)

    def hold(self):
        self.silent.set()

    def mend(self):
        self.closed = False
        self.silent.clear()


class Fake:
    """Greets, answers PING, and keeps every byte it is sent."""

    def __init__(self):
        self.bytes = b""
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        info = {"server_id": "FAKE", "version": "2.9.10", "proto": 1, "headers": True,
                "host": "127.0.0.1", "port": self.port, "max_payload": 1 << 20}
        while True:
            client, _ = self.socket.accept()
            try:
                client.sendall(b"INFO " + json.dumps(info).encode() + b"\r\n")
                while data := client.recv(65536):
                    self.bytes += data
                    for _ in range(data.count(b"PING\r\n")):
                        client.sendall(b"PONG\r\n")
            except OSError:
                pass  # gone without a word


class Stage:
    """What the commands act on."""

    def __init__(self, folder):
        self.folder = folder
        self.servers, self.proxies, self.fakes = {}, {}, {}

    def config_of(self, kind, name):
        folder = os.path.join(self.folder, name + ".id")
        os.makedirs(folder)
        if kind == "tls":
            return identities.certificates(folder)
        if kind == "nkey":
            return identities.nkey(folder)[1]
        if kind == "creds":
            return identities.credentials(folder)[1]
        return {"plain": "",
                "user": "authorization: {user: ada, password: \"s3cret-pass\"}\n",
                "token": "authorization: {token: \"t0ken-of-ours\"}\n"}[kind]

    def start(self, name, kind="plain"):
        server = Server(self.folder, name, self.config_of(kind, name))
        self.servers[name] = server
        return server.start()

    def cluster(self, name):
        servers = make_cluster(self.folder, name)
        for server in servers:
            self.servers[server.name] = server
            server.launch()
        for server in servers:
            wait_for(server.name, server.is_ready)
        return " ".join(str(server.port) for server in servers)

    def stop(self, name):
        self.servers[name].end(signal.SIGTERM)

    def kill(self, name):
        self.servers[name].end(signal.SIGKILL)

    def pause(self, name):
        self.servers[name].pause()

    def resume(self, name):
        self.servers[name].signal(signal.SIGCONT)

    def again(self, name):
        return self.servers[name].start()

    def wipe(self, name):
        self.servers[name].wipe()

    def set(self, name, *line):
        self.servers[name].set(" ".join(line))

    def proxy(self, name):
        self.proxies[name] = Proxy(self.servers[name].port)
        return self.proxies[name].port

    def cut(self, name):
        self.proxies[name].cut()

    def hold(self, name):
        self.proxies[name].hold()

    def mend(self, name):
        self.proxies[name].mend()

    def moved(self, name):
        return self.proxies[name].moved

    def fake(self, name):
        self.fakes[name] = Fake()
        return self.fakes[name].port

    def heard(self, name):
        return self.fakes[name].bytes.hex() or "-"

    def end(self):
        for server in self.servers.values():
            if server.process and server.process.poll() is None:
                server.process.kill()
                server.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


COMMANDS = {"start", "cluster", "stop", "kill", "pause", "resume", "again", "wipe", "set", "proxy",
            "cut", "hold", "mend", "moved", "fake", "heard"}


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    stage = Stage(sys.argv[1])
    os.makedirs(sys.argv[1], exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        for line in sys.stdin:
            name, *arguments = line.split()
            try:
                if name not in COMMANDS:
                    raise RuntimeError("no such command: " + name)
                answer = getattr(stage, name)(*arguments)
                print("ok", "" if answer is None else answer, flush=True)
            except (RuntimeError, OSError, KeyError, TypeError, subprocess.SubprocessError) as e:
                print("error", " ".join(repr(e).split()), flush=True)
    finally:
        stage.end()


if __name__ == "__main__":
    main()
