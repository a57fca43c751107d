#!/usr/bin/env python3
"""failures_test.py [SEED] - failures.py: some of the calls and allocations, others each time."""
from failures import Failures

if __name__ == "__main__":
    Failures("failures", program="failures_test.py", few={"alloc": 6}).go()
