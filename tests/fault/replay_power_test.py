#!/usr/bin/env python3
"""replay_power_test.py [SEED [CUTS]] - replay_power.py: 150 cuts, and that it finds what a disk loses."""
import sys

from replay_power import ReplayPower

CUTS = int(sys.argv[2]) if len(sys.argv) > 2 else 150


def main():
    print("1..2")
    power = ReplayPower("replay-power", program="replay_power_test.py")
    power.go(CUTS)
    print("not ok" if power.problems else "ok", "1 a power loss at any moment of a replay: the projection has the "
        "events up to its cursor, each once, and run on it is what a fresh rebuild is", flush=True)
    lying = ReplayPower("replay-power", program="replay_power_test.py", lie="off", loud=False)
    lying.go(CUTS, until="damaged")
    found = any(what[0] == "damaged" for what in lying.problems)
    print("ok" if found else "not ok", "2 on a disk that does not sync the same campaign finds damage", flush=True)
    lying.remove()
    power.end(f"# {power.summary()}")
    sys.exit(not found)


if __name__ == "__main__":
    main()
