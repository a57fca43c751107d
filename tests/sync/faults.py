"""faults - what goes wrong in a storm, each drawn with a chance of its own.

Every fault takes the storm and a source of chance, and does nothing where it does not fit: a server
that is down cannot be asked for its streams.
"""
import base64
import os
import shutil
import signal
import threading
import time

import forge
from field import DOMAINS, Ground
from talk import Client

HOUR = 3600


# --- What is no fault

def append(storm, random):
    node = random.choice(storm.field.nodes)
    storm.record(node, random.choice([1, 5, 50, 300]), random.choice(DOMAINS),
                 random.choice([0, 0, 0, 2000, 40000]))


def same_id(storm, random):
    """Two nodes record events with one id: both are facts."""
    nodes = random.sample(storm.field.nodes, 2)
    event_id = "%08x-0000-4000-8000-%012x" % (random.randrange(1 << 32), random.randrange(1 << 48))
    for node in nodes:
        storm.record(node, 1, random.choice(DOMAINS), 0, event_id)


def rest(_, random):
    time.sleep(random.random() * 0.4)


def start_daemon(storm, random):
    node = random.choice(storm.field.nodes)
    if not node.is_running():
        node.serve()


def start_server(storm, random):
    server = random.choice(storm.field.servers)
    if server.process.poll() is not None:
        server.launch()
        storm.field.wait_for_servers() if len(storm.field.servers) == 1 else None


# --- Daemons and nodes

def kill_daemon(storm, random):
    random.choice(storm.field.nodes).kill()


def pause_daemon(storm, random):
    random.choice(storm.field.nodes).pause()


def resume_daemon(storm, random):
    random.choice(storm.field.nodes).resume()


def wrong_clock(storm, random):
    node = random.choice(storm.field.nodes)
    running = node.is_running()
    node.kill()
    node.set_clock(random.choice([-HOUR, 0, HOUR]))
    if running:
        node.serve()


def fill_disk(storm, random):
    for node in storm.field.nodes:
        if node.disk:
            node.fill_disk()
            storm.record(node, 5, random.choice(DOMAINS))


def free_disk(storm, _):
    for node in storm.field.nodes:
        node.free_disk()


def copy_node(storm, random):
    node = random.choice(storm.field.nodes)
    running = node.is_running()
    node.kill()
    node.copy()
    if running:
        node.serve()


def restore(storm, node, copy, in_place):
    storm.rewound = True
    running = node.is_running()
    node.kill()
    node.free_disk()
    if in_place:
        node.restore_machine(copy)
        # A copy from before the file was another one is not taken for the machine's own.
        if node.run("serve-sync", "--once", "--within", "1ms", expect=None).returncode == 14:
            node.run("recover", "--offline", "--reason", "a storm", "-q")
    else:
        node.restore_file(copy)
        node.run("append", "-d", "inventory", "-t", "t", "n:=1", expect=14)
        node.run("recover", "--offline", "--reason", "a storm", "-q")
    storm.forget_what_nobody_has()
    if running:
        node.serve()


def restore_copy(storm, random):
    with_copies = [node for node in storm.field.nodes if node.copies]
    if with_copies:
        node = random.choice(with_copies)
        restore(storm, node, random.choice(node.copies), random.random() < 0.5)


def restore_again(storm, random):
    """The same copy a second time; what was written in between is elsewhere, or gone."""
    before = [node for node in storm.field.nodes if node.last_restored]
    if before:
        node = random.choice(before)
        storm.record(node, 5, random.choice(DOMAINS))
        restore(storm, node, node.last_restored, random.random() < 0.5)


def fork(storm, random):
    """An older state of the machine goes on before anybody could tell it what others have."""
    field = storm.field
    node = random.choice(field.nodes)
    others = [n for n in field.nodes if n is not node]
    node.kill()
    node.copy()
    node.serve()
    storm.record(node, random.choice([3, 400]), "inventory")
    last = node.query("SELECT lower(hex(hash)) FROM event ORDER BY position DESC LIMIT 1")[0][0]
    until = time.monotonic() + 5
    while time.monotonic() < until and not any(last in n.all_hashes() for n in others):
        time.sleep(0.05)
    node.kill()
    node.free_disk()
    storm.rewound = True
    node.restore_machine(node.copies[-1])
    storm.forget_what_nobody_has()
    storm.record(node, random.choice([2, 30]), "inventory")
    node.serve()


def twin(storm, random):
    """A second ledger with the name of the first: a copy of the machine that goes on by itself. Its daemon
    is refused where the first one's has the lease, or the other way round."""
    if storm.twins:
        return
    node = random.choice(storm.field.nodes)
    running = node.is_running()
    node.kill()
    other = Ground.__new__(Ground)
    other.__dict__.update(node.__dict__)
    other.folder = node.folder + ".twin"
    other.environment = dict(node.environment,
                             XDG_STATE_HOME=os.path.join(other.folder, "state"))
    other.filler, other.process, other.copies, other.disk = other.path("filler"), None, [], False
    other.starts = 0
    shutil.copytree(node.folder, other.folder, symlinks=True,
                    ignore=shutil.ignore_patterns("filler"))
    other.run("recover", "--offline", "--reason", "a twin", "-q")
    storm.twins.append((node, other))
    storm.field.doubled.add(node.name)
    storm.rewound = node.doubled = other.doubled = True
    if running:
        node.serve()
    other.serve()
    storm.record(other, random.choice([1, 20]), random.choice(DOMAINS))


# --- Servers

def down(server, number=signal.SIGKILL):
    if server.process.poll() is None:
        server.signal(signal.SIGCONT)
        server.paused = False
        server.end(number)


def kill_server(storm, random):
    down(random.choice(storm.field.servers))


def stop_server(storm, random):
    down(random.choice(storm.field.servers), signal.SIGTERM)


def pause_server(storm, random):
    server = random.choice(storm.field.servers)
    if server.process.poll() is None:
        server.signal(signal.SIGSTOP)
        server.paused = True


def resume_server(storm, random):
    server = random.choice(storm.field.servers)
    if server.process.poll() is None:
        server.signal(signal.SIGCONT)
        server.paused = False


def wipe_server(storm, random):
    server = random.choice(storm.field.servers)
    down(server)
    server.wipe()


def blocks(server):
    for folder, _, files in os.walk(server.path("js")):
        for name in sorted(files):
            path = os.path.join(folder, name)
            if name.endswith(".blk") and os.path.getsize(path):
                yield path


def lose(storm, random):
    """While a node is away others record events, and then no server has them any more."""
    node = random.choice(storm.field.nodes)
    others = [n for n in storm.field.nodes if n is not node]
    node.kill()
    storm.record(others[0], 20, "inventory")
    last = others[0].query("SELECT lower(hex(hash)) FROM event ORDER BY position DESC LIMIT 1")[0][0]
    until = time.monotonic() + 5
    while time.monotonic() < until and last not in others[1].all_hashes():
        time.sleep(0.05)
    for server in storm.field.servers:
        down(server)
        server.wipe()
    for server in storm.field.servers:
        server.launch()


def cut_blocks(storm, random):
    """The tail of what a server has stored is gone, as after a power loss."""
    server = random.choice(storm.field.servers)
    down(server)
    for path in blocks(server):
        os.truncate(path, random.randrange(os.path.getsize(path)))


def flip_bits(storm, random):
    server = random.choice(storm.field.servers)
    down(server)
    for path in blocks(server):
        with open(path, "r+b") as file:
            file.seek(random.randrange(os.path.getsize(path)))
            byte = file.read(1)
            file.seek(-1, 1)
            file.write(bytes([byte[0] ^ 1 << random.randrange(8)]))


def lower_max_payload(storm, random):
    server = random.choice(storm.field.servers)
    down(server)
    server.lowered = True
    server.extra = "max_payload: %d\n" % random.choice([2048, 8192, 65536])
    server.launch()


# --- Networks

def cut_way(storm, random):
    storm.field.proxies[random.choice(sorted(storm.field.proxies))].cut()


def hold_way(storm, random):
    """Everything is late."""
    storm.field.proxies[random.choice(sorted(storm.field.proxies))].hold()


def mend_ways(storm, _):
    for proxy in storm.field.proxies.values():
        proxy.mend()


# --- Streams

def talk_to(storm, random):
    """A client of a server that runs; None where there is none."""
    servers = storm.field.running()
    if not servers:
        return None
    try:
        client = Client(random.choice(servers).port, patience=2)
    except OSError:
        return None
    return client


def with_client(fault):
    def wrapped(storm, random):
        client = talk_to(storm, random)
        try:
            if client:
                fault(storm, random, client)
        except (OSError, ValueError):
            pass  # it has no time for us: then this fault did not happen
        finally:
            if client:
                client.socket.close()
    wrapped.__name__ = fault.__name__
    return wrapped


def stream_of(random):
    return "ledger-" + random.choice(DOMAINS + ["_ledger", "_ownership"])


@with_client
def delete_stream(_, random, client):
    client.ask("STREAM.DELETE." + stream_of(random))


@with_client
def recreate_stream(_, random, client):
    """Somebody makes it anew, his way: nothing guards it, and little fits."""
    name = stream_of(random)
    client.ask("STREAM.DELETE." + name)
    client.ask("STREAM.CREATE." + name, name=name, storage="file", retention="limits",
               subjects=["ledger.events.%s.*" % name[7:]], num_replicas=1,
               max_msgs=random.choice([-1, 2, 20]))


@with_client
def purge_stream(_, random, client):
    """Refused where the stream is guarded, as those are that nodes make."""
    client.ask("STREAM.PURGE." + stream_of(random))


@with_client
def delete_consumers(storm, _, client):
    for domain in DOMAINS:
        for node in storm.field.nodes:
            client.ask("CONSUMER.DELETE.ledger-%s.%s-%d" % (domain, node.name, node.epoch()))


@with_client
def step_down(storm, random, client):
    stream = stream_of(random)
    client.ask("STREAM.LEADER.STEPDOWN." + stream)
    for node in storm.field.nodes:
        client.ask("CONSUMER.LEADER.STEPDOWN.%s.%s-%d" % (stream, node.name, node.epoch()))


# --- Messages

def stored(client, stream, random, most=20):
    """Some of what a stream holds: (subject, data)."""
    state = client.ask("STREAM.INFO." + stream).get("state")
    if not state or not state["messages"]:
        return []
    out = []
    for _ in range(most):
        sequence = random.randint(state["first_seq"], state["last_seq"])
        message = client.ask("STREAM.MSG.GET." + stream, seq=sequence).get("message")
        if message:
            out.append((message["subject"], base64.b64decode(message.get("data", ""))))
    return out


@with_client
def repeat_messages(_, random, client):
    """In another order."""
    for subject, data in stored(client, stream_of(random), random):
        client.publish(subject, data)
    client.settle()


@with_client
def corrupt_messages(_, random, client):
    for subject, data in stored(client, stream_of(random), random, 5):
        if data:
            client.publish(subject, forge.flip(data, random))
    client.settle()


@with_client
def inject(storm, random, client):
    for subject, line in storm.bad_messages(random):
        client.publish(subject, line + b"\n")
    client.settle()


@with_client
def bogus_heads(storm, random, client):
    """Forged, made up with the key, and old ones once more."""
    strange = random.randbytes(32)
    node = random.choice(storm.field.nodes)
    head = {"origin": node.name, "epoch": node.epoch(), "domain": random.choice(DOMAINS),
            "sequence": random.randrange(1, 1 << 40), "hash": random.randbytes(32).hex()}
    for data in (b"", b"nonsense", b'{"v":1}\n{"key":"hs256-0","mac":"00"}\n',
                 forge.heads(strange, node.name, node.epoch(), [head]),
                 forge.heads(storm.field.key, "z", 1, [head]), *storm.heard):
        client.publish("ledger.sync.heads", data)
    client.settle()


@with_client
def bogus_requests(storm, random, client):
    node = random.choice(storm.field.nodes)
    for body in (b"", b"nonsense", b'{"v":1,"origin":"a"}', b'{"v":1,"origin":"a","epoch":1,'
                 b'"domain":"inventory","from":99999999999999999999,"max_bytes":1}',
                 b'{"v":1,"origin":"../a","epoch":1,"domain":"x","from":0,"max_bytes":0}'):
        client.publish("ledger.sync.range." + node.name, body, "storm.answer")
    client.settle()


def overhear(storm, random):
    """Heads as they are said now, to be said again later."""
    client = talk_to(storm, random)
    if not client:
        return
    try:
        client.subscribe("ledger.sync.heads")
        client.settle()
        storm.heard.append(client.wait("ledger.sync.heads")[2])
    except OSError:
        pass
    client.socket.close()


def lie(storm, random):
    """Somebody answers what peers are asked, and is first: with nothing, nonsense, forged lines."""
    client = talk_to(storm, random)
    if not client:
        return
    answers = [b"", b"nonsense\n"] + [line + b"\n" for _, line in storm.bad_messages(random)[4:8]]
    client.subscribe("ledger.sync.range.*")
    until = time.monotonic() + 2

    def answer():
        try:
            while time.monotonic() < until:
                if client.read() == "MSG" and client.messages[-1][1]:
                    client.publish(client.messages[-1][1], random.choice(answers))
        except (OSError, IndexError):
            pass
        client.socket.close()
    threading.Thread(target=answer, daemon=True).start()


NAMES = {name: thing for name, thing in globals().items() if callable(thing)}
USUAL = [append] * 10 + [rest] * 3 + [start_daemon, start_server] * 4 + [mend_ways] * 2
FAULTS = [
    kill_daemon, kill_daemon, pause_daemon, resume_daemon, wrong_clock, fill_disk, free_disk,
    copy_node, copy_node, restore_copy, restore_copy, restore_again, fork, twin,
    lose, kill_server, stop_server, pause_server, resume_server, wipe_server, cut_blocks, flip_bits,
    lower_max_payload, cut_way, hold_way,
    delete_stream, recreate_stream, purge_stream, delete_consumers, step_down,
    same_id, repeat_messages, corrupt_messages, inject, bogus_heads, bogus_requests, overhear, lie,
]
