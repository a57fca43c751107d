"""Power losses during replay into a projection: power.py with other commands.

A replay, a rebuild included, is cut off at one of its changes of the disk; the files become what a power loss may
leave. The projection then has the events up to its cursor, each once, or nothing; run on, it is what a rebuild makes.
"""
import shutil
import sqlite3

import disk
from power import Power

SQL = """insert into stock values (:stream_key, 1, :payload->>'$.n', :position)
    on conflict do update set times = times + 1, sum = sum + excluded.sum, seen = excluded.seen"""
PRODUCTS = 97


class ReplayPower(Power):
    def __init__(self, *args, **kinds):
        super().__init__(*args, **kinds)
        self.actions = [self.replay, self.replay, self.replay_some, self.rebuild, self.rebuild_shared]

    def begin_round(self):
        self.empty_folder()
        shutil.rmtree(self.state, ignore_errors=True)
        self.history, self.n = [], 0
        self.expect(0, "init", "--node", "store-a", "-q")
        self.folder.chmod(0o755)
        (self.folder / "stock.sql").write_text(
            "create table stock (sku text primary key, times integer, sum integer, seen integer) strict;")
        with open(self.folder / "ledger.yaml", "a") as config:
            config.write("projections:\n")
            for name in "stock", "fresh":
                config.write(f'  {name}: {{database: {name}.db, schema: stock.sql, apply: {{t: "{" ".join(SQL.split())}"}}}}\n')
        if self.random.random() < 0.3:
            # Not every operator wants a -wal.
            with sqlite3.connect(self.folder / "stock.db") as db:
                db.execute("pragma journal_mode = delete")
                db.execute("vacuum")
        self.append(self.random.randrange(1, 3000))

    def append(self, count):
        """Known to be on the disk: what a ledger loses is the matter of power_test.py."""
        lines = b"".join(b'{"domain":"d%d","type":"t","stream":"p/%d","payload":{"n":%d}}\n' % (i % 2, i % PRODUCTS, i)
            for i in range(self.n, self.n + count))
        self.expect(0, "append", "-q", "--batch", "1000", stdin=lines)
        self.n += count
        self.events = max(self.events, self.n)
        self.disk = disk.Disk(self.work, self.folder)

    # --- What is done

    def replay(self):
        self.cut_run("replay", ["replay", "stock", "-q"])

    def replay_some(self):
        self.cut_run("limit", ["replay", "stock", "-q", "--limit", str(self.random.randrange(1, 300))])

    def rebuild(self):
        self.cut_run("rebuild", ["replay", "stock", "-q", "--rebuild"])

    def rebuild_shared(self):
        self.cut_run("shared", ["replay", "stock", "-q", "--rebuild", "--order", "shared"])

    # --- What is left

    def expected(self, position):
        """What the events up to a position come to."""
        rows = {}
        for i in range(position):
            times, total, _ = rows.get(i % PRODUCTS, (0, 0, 0))
            rows[i % PRODUCTS] = (times + 1, total + i, i + 1)
        return sorted((str(sku), *row) for sku, row in rows.items())

    def content(self, folder, name):
        """Rows and position; None where there is no projection yet."""
        db = sqlite3.connect(folder / f"{name}.db")
        try:
            if db.execute("pragma integrity_check").fetchone() != ("ok",):
                self.problem("damaged", name)
            if not db.execute("select 1 from sqlite_schema").fetchone():
                return None
            return (db.execute("select * from stock order by sku").fetchall(),
                db.execute("select position from ledgerbox_projection").fetchone()[0])
        finally:
            db.close()

    def look(self):
        """As the power loss left it, in a copy: the next replay is to find the same."""
        copy = self.work / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        for path in self.folder.glob("stock.db*"):
            if path.name in ("stock.db", "stock.db-wal", "stock.db-journal"):
                shutil.copy2(path, copy)
        try:
            found = self.content(copy, "stock")
        except sqlite3.DatabaseError as error:
            self.problem("damaged", "stock:", error)
            return
        if found and (not isinstance(found[1], int) or found[1] > self.n):
            self.problem("damaged", "stock: it stands at position", found[1])
        elif found and found[0] != self.expected(found[1]):
            self.problem("lost", "the content is not that of the events up to its position", found[1])
        shutil.rmtree(copy)

    def check(self):
        self.checks += 1
        self.look()
        for words in ["replay", "stock", "-q"], ["replay", "fresh", "-q", "--rebuild"]:
            done = self.run(*words)
            if done.returncode != 0:
                self.problem("unusable", *words, "exit code", done.returncode, done.stderr.decode()[-300:])
                return
        try:
            stock, fresh = self.content(self.folder, "stock"), self.content(self.folder, "fresh")
        except sqlite3.DatabaseError as error:
            self.problem("damaged", error)
            return
        if stock != fresh or stock != (self.expected(self.n), self.n):
            self.problem("lost", "run on, the projection is not what a fresh rebuild is, at position", stock[1])
        if self.random.random() < 0.3:
            self.append(self.random.randrange(1, 200))
