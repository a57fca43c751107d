"""What the long campaigns share: a fresh ledger, its program, a seed that is printed and can be given."""
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path


class Campaign:
    """A folder with a ledger of its own. `seed` is the first argument, or random; it is printed."""

    def __init__(self, name, program=None):
        self.program = os.environ["LEDGERBOX_BIN"]
        self.seed = int(sys.argv[1]) if len(sys.argv) > 1 else random.SystemRandom().randrange(1 << 32)
        print(f"# {name}: seed {self.seed} (again with: tests/fault/{program or 'long-' + name} {self.seed})", flush=True)
        self.random = random.Random(self.seed)
        self.work = Path(tempfile.mkdtemp(prefix=f"{name}."))
        self.folder, self.state = self.work / "ledger", self.work / "state"
        self.folder.mkdir()
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("LEDGER")}
        self.environment.update(XDG_STATE_HOME=str(self.state), TZ="UTC", LC_ALL="C.UTF-8")
        self.problems = []
        self.expect(0, "init", "--node", "store-a", "-q")

    def run(self, *words, stdin=b"", timeout=60):
        return subprocess.run([self.program, *words], cwd=self.folder, env=self.environment, input=stdin,
            capture_output=True, timeout=timeout)

    def expect(self, code, *words, stdin=b""):
        done = self.run(*words, stdin=stdin)
        if done.returncode != code:
            sys.exit(f"{' '.join(words)}: exit code {done.returncode}, not {code}: {done.stderr.decode()}")
        return done.stdout

    def problem(self, *what):
        print("# PROBLEM", *what, flush=True)
        self.problems.append(what)

    def end(self, summary):
        print(summary)
        if self.problems:
            sys.exit(f"{len(self.problems)} problems; the ledger is kept in {self.work}")
        shutil.rmtree(self.work)
