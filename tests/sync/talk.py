"""A client of NATS on a plain socket: enough to see what a server permits."""
import base64
import json
import socket

import servers


class Client:
    """`who`: members of CONNECT (user, pass, …); `sign`: signs the server's nonce (an nkey);
    `patience`: seconds until a silent server is an OSError."""

    def __init__(self, port, sign=None, patience=servers.PATIENCE, **who):
        self.socket = socket.create_connection(("127.0.0.1", port), patience)
        self.file = self.socket.makefile("rb")
        self.messages = []  # (subject, reply, data)
        self.denied = []  # texts of -ERR
        self.inbox, self.asked = "_INBOX.%s" % who.pop("node", "client"), 0
        info = json.loads(self.file.readline().split(b" ", 1)[1])
        if sign:
            signature = sign(info["nonce"].encode())
            who["sig"] = base64.urlsafe_b64encode(signature).decode().rstrip("=")
        self.send("CONNECT " + json.dumps(dict(who, verbose=False, headers=False)))
        self.settle()

    def send(self, line, data=None):
        self.socket.sendall(line.encode() + b"\r\n" + (b"" if data is None else data + b"\r\n"))

    def read(self):
        """One thing that the server says; its first word."""
        line = self.file.readline().decode()
        words = line.split()
        if not words:
            raise ConnectionError("closed: %s" % self.denied)
        if words[0] == "-ERR":
            self.denied.append(line.strip())
        elif words[0] == "PING":
            self.send("PONG")
        elif words[0] == "MSG":
            data = self.file.read(int(words[-1]) + 2)[:-2]
            self.messages.append((words[1], words[3] if len(words) == 5 else None, data))
        return words[0]

    def settle(self):
        """The server has done what it was told before."""
        self.send("PING")
        while self.read() != "PONG":
            pass

    def publish(self, subject, data=b"", reply=""):
        self.send("PUB %s %s %d" % (subject, reply, len(data)), data)

    def subscribe(self, subject, number=1):
        self.send("SUB %s %d" % (subject, number))

    def may(self, action, *arguments):
        """Does the server permit it?"""
        before = len(self.denied)
        getattr(self, action)(*arguments)
        self.settle()
        return len(self.denied) == before

    def request(self, subject, data=b""):
        """The first answer; None where the server does not permit the question."""
        self.asked += 1
        reply = "%s.%d" % (self.inbox, self.asked)
        before = len(self.denied)
        self.subscribe(reply, 100 + self.asked)
        self.publish(subject, data, reply)
        while True:
            for message in self.messages:
                if message[0] == reply:
                    self.messages.remove(message)
                    return message[2]
            if len(self.denied) > before:
                return None
            self.read()

    def ask(self, verb, **body):
        """JetStream's answer to $JS.API.<verb>; None: not permitted."""
        answer = self.request("$JS.API." + verb, json.dumps(body).encode() if body else b"")
        return answer and json.loads(answer)

    def wait(self, subject):
        """The next message under a subject."""
        while True:
            for message in self.messages:
                if message[0] == subject:
                    self.messages.remove(message)
                    return message
            self.read()


def page_blocks(path):
    """The literal blocks of a manual page, as a reader sees them."""
    with open(path) as file:
        blocks = file.read().split("\n```\n")[1::2]
    return [unescape(block) + "\n" for block in blocks]


def unescape(text):
    """scdoc takes a backslash for an escape there too."""
    out, escaped = "", False
    for c in text:
        if c == "\\" and not escaped:
            escaped = True
            continue
        out += c
        escaped = False
    return out
