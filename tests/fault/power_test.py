#!/usr/bin/env python3
"""power_test.py [SEED [CUTS]] - power.py: 300 cuts, and that it finds what loses events."""
import sys

from power import Power

CUTS = int(sys.argv[2]) if len(sys.argv) > 2 else 300
LIES = (
    ("normal", "with synchronous=NORMAL the same campaign finds lost events"),
    ("early", "with an answer before its commit the same campaign finds lost events"),
    ("off", "with a disk that does not sync the same campaign finds lost events"),
)


def main():
    print(f"1..{len(LIES) + 1}")
    power = Power("power", program="power_test.py")
    power.go(CUTS)
    print("not ok" if power.problems else "ok", "1 a power loss at any moment: no answered event, cursor, epoch or "
        "backup is lost, the ledger verifies and goes on", flush=True)
    failed = bool(power.problems)
    for number, (lie, claim) in enumerate(LIES, 2):
        lying = Power("power", program="power_test.py", lie=lie, loud=False)
        lying.go(CUTS, until="lost")
        found = any(what[0] == "lost" for what in lying.problems)
        failed |= not found
        print("ok" if found else "not ok", number, claim, flush=True)
        lying.remove()
    power.end(f"# {power.summary()}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
