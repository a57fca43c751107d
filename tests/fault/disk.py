"""What a power loss leaves of the files in a folder, computed from the journal of ledgerbox-faulty.

A write is on the disk for sure when its file was synced after it, a name when its folder was. Of what was not
synced any part may be there: of each sector any version that was ever written, names in the order in which they
were made.
"""
import os
import struct
from pathlib import Path

SECTOR = 512
RECORD = struct.Struct("=IIIIQQ")
OPEN, WRITE, TRUNCATE, SYNC, SYNC_DIR, RENAME, LINK, UNLINK, FAILED, END = range(10)
MODES = ("drop", "mix", "mix", "prefix", "garbage", "keep")


def records(journal):
    """(what, inode, offset, a, b) for each record; the last may be cut."""
    at = 0
    while at + RECORD.size <= len(journal):
        what, n_a, n_b, _, inode, offset = RECORD.unpack_from(journal, at)
        at += RECORD.size
        yield what, inode, offset, journal[at:at + n_a], journal[at + n_a:at + n_a + n_b]
        at += n_a + n_b


def counts(journal):
    """How many calls of each kind a run that ended by itself made; {} where it did not."""
    for what, _, _, text, _ in records(journal):
        if what == END:
            words = text.decode().split()
            return {kind: int(n) for kind, n in zip(words[::2], words[1::2])}
    return {}


def change(image, offset, data):
    """A write, or with data None a truncation, done to a bytearray."""
    if data is None:
        del image[offset:]
        image.extend(bytes(offset - len(image)))
        return
    image.extend(bytes(max(0, offset - len(image))))
    image[offset:offset + len(data)] = data


def garbled(old, new, dice):
    """Garbage where a sector was to change. The bytes beside a write stay: SQLite relies on that (PSOW)."""
    old = old.ljust(len(new), b"\xff")
    return bytes(n if o == n else g for o, n, g in zip(old, new, dice.randbytes(len(new))))


class File:
    def __init__(self, inode, durable=b""):
        self.inode, self.durable, self.pending = inode, durable, []

    def sync(self):
        self.durable, self.pending = bytes(self.after(self.pending)), []

    def after(self, changes):
        image = bytearray(self.durable)
        for offset, data in changes:
            change(image, offset, data)
        return image

    def torn(self, dice):
        """Some writes, in order, and of the next one its first sectors."""
        n = dice.randrange(len(self.pending))
        offset, data = self.pending[n]
        cut = dice.randrange(len(data) // SECTOR + 1) * SECTOR if data else 0
        rest = [(offset, data[:cut])] if cut else []
        return self.after(self.pending[:n] + rest)

    def mixed(self, dice, garbage):
        """Of each sector one of the versions that it had, or garbage in place of a new one."""
        image, sizes, versions = bytearray(self.durable), [len(self.durable)], {}
        for offset, data in self.pending:
            first, last = offset // SECTOR, (offset + len(data or b"")) // SECTOR
            touched = range(first, last + 1) if data else ()
            for sector in touched:
                old = bytes(image[sector * SECTOR:(sector + 1) * SECTOR])
                versions.setdefault(sector, [old])
            change(image, offset, data)
            sizes.append(len(image))
            for sector in touched:
                versions[sector].append(bytes(image[sector * SECTOR:(sector + 1) * SECTOR]))
        size = dice.choice(sizes)
        for sector, contents in versions.items():
            chosen = dice.randrange(len(contents))
            content = contents[chosen]
            if chosen and garbage and dice.random() < 0.5:
                content = garbled(contents[0], content, dice)
            if sector * SECTOR < len(image):
                image[sector * SECTOR:sector * SECTOR + len(content)] = content
        return image[:size] + bytes(max(0, size - len(image)))

    def after_loss(self, mode, dice):
        if not self.pending or mode == "drop":
            return self.durable
        if mode == "keep":
            return bytes(self.after(self.pending))
        return bytes(self.torn(dice) if mode == "prefix" else self.mixed(dice, mode == "garbage"))


class Disk:
    """The files under `root`, all of them on the disk at the beginning. Programs run in `folder`."""

    def __init__(self, root, folder):
        self.root, self.folder = Path(root), str(folder)
        self.settle()

    def settle(self):
        self.names, self.files, self.pending = {}, {}, []
        for path in self.root.rglob("*"):
            if path.is_file() and not path.name.endswith("-shm"):
                inode = path.stat().st_ino
                self.files.setdefault(inode, File(inode, path.read_bytes()))
                self.names[str(path)] = self.files[inode]
        self.durable_names = dict(self.names)

    def note(self, journal):
        """What happened since; may be called again and again."""
        for what, inode, offset, a, b in records(journal):
            if what == OPEN:
                self.opened(self.path(a), inode)
            elif what == WRITE and inode in self.files:
                self.files[inode].pending.append((offset, a))
            elif what == TRUNCATE and inode in self.files:
                self.files[inode].pending.append((offset, None))
            elif what == SYNC and inode in self.files:
                self.synced(self.files[inode])
            elif what == SYNC_DIR:
                self.synced_folder(self.path(a))
            elif what in (RENAME, LINK, UNLINK):
                self.renamed(what, self.path(a), self.path(b))

    def path(self, raw):
        return os.path.normpath(os.path.join(self.folder, os.fsdecode(raw)))

    def opened(self, path, inode):
        if not path.startswith(str(self.root)):
            return
        file = self.names.get(path)
        if not file or file.inode != inode:
            file = self.files[inode] = File(inode)
            self.set_name(path, file)

    def set_name(self, path, file):
        """`file` None: the name goes."""
        if file:
            self.names[path] = file
        else:
            self.names.pop(path, None)
        self.pending.append((path, file))

    def renamed(self, what, a, b):
        if a not in self.names:
            return
        if what != UNLINK:
            self.set_name(b, self.names[a])
        if what != LINK:
            self.set_name(a, None)

    def synced(self, file):
        file.sync()
        # SQLite syncs the folder of a new -wal with it, and that of a new -journal.
        for path, named in list(self.pending):
            if named is file and path.endswith("-journal"):
                self.synced_folder(os.path.dirname(path))
            elif named is file and path.endswith("-wal"):
                self.durable_names[path] = file
        self.pending = [(p, f) for p, f in self.pending if f is not file or not p.endswith("-wal")]

    def synced_folder(self, folder):
        rest = []
        for path, file in self.pending:
            if os.path.dirname(path) == folder:
                self.name_is_durable(self.durable_names, path, file)
            else:
                rest.append((path, file))
        self.pending = rest

    @staticmethod
    def name_is_durable(names, path, file):
        if file:
            names[path] = file
        else:
            names.pop(path, None)

    def lose_power(self, mode, dice):
        """The files become what a power loss may leave."""
        names = dict(self.durable_names)
        kept = {"drop": 0, "keep": len(self.pending)}.get(mode, dice.randint(0, len(self.pending)))
        for path, file in self.pending[:kept]:
            self.name_is_durable(names, path, file)
        contents = {file: file.after_loss(mode, dice) for file in names.values()}
        for path in sorted(names):
            self.put(path, names[path], contents[names[path]])
        for path in self.root.rglob("*"):
            if path.is_file() and str(path) not in names:
                self.put_shared_memory(path, dice) if path.name.endswith("-shm") else path.unlink()
        self.settle()

    def put(self, path, file, content):
        """In place: a ledger knows its inode. A cut may have come before the rename that is in the journal."""
        if not os.path.exists(path) or os.stat(path).st_ino != file.inode:
            elsewhere = [p for p in self.root.rglob("*") if p.is_file() and p.stat().st_ino == file.inode]
            if os.path.lexists(path):
                os.unlink(path)
            if elsewhere:
                os.link(elsewhere[0], path)
            else:
                os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        with open(path, "r+b") as out:
            if out.read() != content:
                out.seek(0)
                out.write(content)
                out.truncate()

    @staticmethod
    def put_shared_memory(path, dice):
        """Never synced, so anything may be there."""
        how = dice.randrange(3)
        if how == 0:
            path.unlink()
        elif how == 1:
            path.write_bytes(dice.randbytes(path.stat().st_size))
