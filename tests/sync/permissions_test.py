#!/usr/bin/env python3
"""The server config of ledgerbox-nats(7), on a real server: a node can what it must, and no more."""
import base64
import json
import os
import shutil
import sys
import tempfile
import traceback

import identities
import servers
import talk

PAGE = os.path.join(os.path.dirname(__file__), "..", "..", "man", "ledgerbox-nats.7.scd")
STREAM = "ledger-inventory"
EVENTS = "ledger.events.inventory."
BUCKET = "KV_ledger-lease"
CONSUMER = {"durable_name": "store-a-1", "ack_policy": "all", "deliver_policy": "all"}


def from_page():
    """The users of the config, the stream's, and the bucket's."""
    blocks = talk.page_blocks(PAGE)
    config = next(b for b in blocks if "authorization" in b)
    stream, bucket = (json.loads(b) for b in blocks if b.startswith('{"name"'))
    return config.split("# permissions\n", 1)[1], stream, bucket


class Stage:
    def __init__(self, nkey=None):
        self.folder = tempfile.mkdtemp(prefix="permissions-")
        users, self.stream, bucket = from_page()
        self.sign, self.who = None, {"user": "store-a", "pass": "pass-a"}
        if nkey:
            key = identities.Key(self.folder, "a", identities.USER)
            users = users.replace("user: store-a, password: $STORE_A_PASSWORD", "nkey: " + key.public)
            self.sign, self.who = key.sign, {"nkey": key.public}
        self.server = servers.Server(self.folder, "n1", users)
        os.environ.update(ADMIN_PASSWORD="pass-admin", STORE_A_PASSWORD="pass-a",
                          STORE_B_PASSWORD="pass-b")
        self.server.start()
        self.admin = talk.Client(self.server.port, **{"user": "admin", "pass": "pass-admin"})
        for name, domain in ((STREAM, "inventory"), ("ledger-_ledger", "_ledger"),
                             ("ledger-_ownership", "_ownership")):
            made = self.admin.ask("STREAM.CREATE." + name, **dict(
                self.stream, name=name, subjects=["ledger.events.%s.*" % domain], max_bytes=1 << 20))
            assert "error" not in made, made
        made = self.admin.ask("STREAM.CREATE." + BUCKET, **bucket)
        assert "error" not in made, made
        self.a = talk.Client(self.server.port, sign=self.sign, node="store-a", **self.who)
        self.b = talk.Client(self.server.port, node="store-b",
                             **{"user": "store-b", "pass": "pass-b"})

    def end(self):
        self.server.process.kill()
        self.server.process.wait()
        shutil.rmtree(self.folder)


def messages(stage):
    return stage.admin.ask("STREAM.INFO." + STREAM)["state"]["messages"]


def a_node_publishes_what_it_recorded(stage):
    answer = stage.a.request(EVENTS + "store-a", b"frame\n")
    assert json.loads(answer)["stream"] == STREAM, answer
    assert stage.a.request("ledger.events._ledger.store-a", b"frame\n")


def a_node_reads_the_streams_of_its_domains(stage):
    stage.b.request(EVENTS + "store-b", b"one\n")
    assert "error" not in stage.a.ask("STREAM.INFO." + STREAM)
    assert STREAM in stage.a.ask("STREAM.NAMES", subject="ledger.events.*.*", offset=0)["streams"]
    made = stage.a.ask("CONSUMER.DURABLE.CREATE.%s.store-a-1" % STREAM, stream_name=STREAM,
                       config=CONSUMER)
    assert "error" not in made, made
    assert "error" not in stage.a.ask("CONSUMER.INFO.%s.store-a-1" % STREAM)
    stage.a.subscribe("_INBOX.store-a.pull")
    stage.a.publish("$JS.API.CONSUMER.MSG.NEXT.%s.store-a-1" % STREAM, b"1", "_INBOX.store-a.pull")
    subject, reply, data = stage.a.wait(EVENTS + "store-b")
    assert data == b"one\n"
    assert stage.a.may("publish", reply, b"+ACK")
    servers.wait_for("the acknowledgement", lambda: stage.a.ask(
        "CONSUMER.INFO.%s.store-a-1" % STREAM)["ack_floor"]["stream_seq"] == 1)
    assert stage.a.ask("CONSUMER.DELETE.%s.store-a-1" % STREAM)["success"]


def nodes_hear_heads(stage):
    assert stage.b.may("subscribe", "ledger.sync.heads")
    assert stage.a.may("publish", "ledger.sync.heads", b"heads")
    assert stage.b.wait("ledger.sync.heads")[2] == b"heads"


def nodes_ask_and_answer(stage):
    assert stage.b.may("subscribe", "ledger.sync.range.store-b")
    stage.a.subscribe("_INBOX.store-a.1.>")
    assert stage.a.may("publish", "ledger.sync.range.store-b", b"{}", "_INBOX.store-a.1.7")
    reply = stage.b.wait("ledger.sync.range.store-b")[1]
    assert stage.b.may("publish", reply, b"line\n")
    assert stage.a.wait("_INBOX.store-a.1.7")[2] == b"line\n"


def a_node_hears_its_own_inbox_and_commands(stage):
    assert stage.a.may("subscribe", "_INBOX.store-a.0.>")
    assert stage.a.may("publish", "_INBOX.store-a.0.echo", b"")
    assert stage.a.wait("_INBOX.store-a.0.echo")
    assert stage.a.may("subscribe", "ledger.commands.*.store-a")


def a_node_keeps_the_lease_of_its_name(stage):
    assert "error" not in stage.a.ask("STREAM.INFO." + BUCKET)
    answer = json.loads(stage.a.request("$KV.ledger-lease.store-a", b"ours"))
    assert answer["stream"] == BUCKET, answer
    stage.b.request("$KV.ledger-lease.store-b", b"theirs")
    for who, subject in (("ours", "store-a"), ("theirs", "store-b")):
        read = stage.a.ask("STREAM.MSG.GET." + BUCKET, last_by_subj="$KV.ledger-lease." + subject)
        assert base64.b64decode(read["message"]["data"]).decode() == who, read


def a_node_cannot_touch_the_lease_of_another(stage):
    stage.b.request("$KV.ledger-lease.store-b", b"theirs")
    for subject in ("$KV.ledger-lease.store-b", "$KV.ledger-lease.store-a.x", "$KV.other.store-a"):
        assert not stage.a.may("publish", subject, b"ours"), subject
    for verb in ("STREAM.DELETE.", "STREAM.PURGE.", "STREAM.UPDATE.", "STREAM.CREATE.", "STREAM.MSG.DELETE.",
                 "CONSUMER.CREATE."):
        assert stage.a.ask(verb + BUCKET, name=BUCKET) is None, verb
    read = stage.a.ask("STREAM.MSG.GET." + BUCKET, last_by_subj="$KV.ledger-lease.store-b")
    assert base64.b64decode(read["message"]["data"]) == b"theirs", read

def a_node_commands_others_and_is_answered(stage):
    assert stage.b.may("subscribe", "ledger.commands.*.store-b")
    stage.a.subscribe("_INBOX.store-a.2.>")
    assert stage.a.may("publish", "ledger.commands.product.store-b", b"{}", "_INBOX.store-a.2.1")
    reply = stage.b.wait("ledger.commands.product.store-b")[1]
    assert stage.b.may("publish", reply, b"done\n")
    assert stage.a.wait("_INBOX.store-a.2.1")[2] == b"done\n"
    assert stage.a.may("publish", "ledger.queue.store-b", b"{}")
    for verb in ("STREAM.INFO.ledger-queue-store-b", "CONSUMER.DURABLE.CREATE.ledger-queue-store-b.store-a",
                 "CONSUMER.MSG.NEXT.ledger-queue-store-b.store-b"):
        assert stage.a.ask(verb) is None, verb


def a_node_cannot_publish_as_another_origin(stage):
    for subject in (EVENTS + "store-b", "ledger.events._ledger.store-b", EVENTS + "store-a.x",
                    "ledger.events.inventory"):
        assert not stage.a.may("publish", subject, b"frame\n"), subject
    assert messages(stage) == 0


def a_node_cannot_touch_a_stream(stage):
    stage.b.request(EVENTS + "store-b", b"one\n")
    for verb in ("STREAM.DELETE." + STREAM, "STREAM.PURGE." + STREAM, "STREAM.UPDATE." + STREAM,
                 "STREAM.CREATE." + STREAM, "STREAM.CREATE.mine", "STREAM.MSG.DELETE." + STREAM,
                 "STREAM.MSG.GET." + STREAM, "STREAM.SNAPSHOT." + STREAM, "STREAM.LIST",
                 "STREAM.LEADER.STEPDOWN." + STREAM, "STREAM.INFO.other",
                 "CONSUMER.CREATE." + STREAM, "CONSUMER.DURABLE.CREATE.other.store-a-1",
                 "CONSUMER.LEADER.STEPDOWN.%s.store-a-1" % STREAM):
        assert stage.a.ask(verb, name=STREAM) is None, verb
    assert messages(stage) == 1


def nobody_purges_the_stream_of_the_page(stage):
    stage.b.request(EVENTS + "store-b", b"one\n")
    assert "error" in stage.admin.ask("STREAM.PURGE." + STREAM)
    assert "error" in stage.admin.ask("STREAM.MSG.DELETE." + STREAM, seq=1)


def a_node_cannot_listen_to_others(stage):
    for subject in ("ledger.commands.*.store-b", "ledger.commands.>", "ledger.commands.*.*",
                    "ledger.sync.range.store-b", "ledger.sync.range.*", "_INBOX.store-b.>",
                    "_INBOX.>", "_INBOX.*.x", "ledger.events.>", "ledger.>", ">", "$JS.>",
                    "$SYS.>"):
        assert not stage.a.may("subscribe", subject), subject


def a_node_cannot_answer_unasked(stage):
    assert not stage.a.may("publish", "_INBOX.store-b.1", b"line\n")


def a_stranger_is_not_let_in(stage):
    for who in ({}, {"user": "store-a", "pass": "wrong"}, {"user": "store-a"}):
        try:
            talk.Client(stage.server.port, **who)
        except OSError:
            continue
        raise AssertionError("let in: %s" % who)


TESTS = [a_node_publishes_what_it_recorded, a_node_reads_the_streams_of_its_domains,
         nodes_hear_heads, nodes_ask_and_answer, a_node_hears_its_own_inbox_and_commands,
         a_node_keeps_the_lease_of_its_name, a_node_cannot_touch_the_lease_of_another,
         a_node_commands_others_and_is_answered,
         a_node_cannot_publish_as_another_origin, a_node_cannot_touch_a_stream,
         nobody_purges_the_stream_of_the_page, a_node_cannot_listen_to_others,
         a_node_cannot_answer_unasked, a_stranger_is_not_let_in]


def main():
    failed, number = 0, 0
    print("1..%d" % (2 * len(TESTS)))
    for nkey in (False, True):
        for test in TESTS:
            number += 1
            stage = Stage(nkey)
            try:
                test(stage)
                verdict = "ok"
            except (AssertionError, OSError, RuntimeError, KeyError, TypeError, ValueError):
                traceback.print_exc(file=sys.stdout)
                failed += 1
                verdict = "not ok"
            finally:
                stage.end()
            print("%s %d %s, with %s" % (verdict, number, test.__name__,
                                         "an nkey" if nkey else "a password"), flush=True)
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
