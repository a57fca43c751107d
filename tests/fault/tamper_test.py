#!/usr/bin/env python3
"""tamper_test.py [SEED [WORD ...]] - the tamper matrix once, or the rows whose name has one of the words."""
import sys
from rows import ROWS
from tamper import Ledger, run_rows

EVENTS = 1050  # of the first epoch: one mark is among them


def main():
    ledger = Ledger("tamper", EVENTS, "tamper_test.py")
    rows = [row for row in ROWS if not sys.argv[2:] or any(word in row[0] for word in sys.argv[2:])]
    print(f"1..{len(rows)}")
    failed = run_rows(ledger, rows, readers=1)
    ledger.end(f"# {len(rows) - failed} of {len(rows)} rows")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
