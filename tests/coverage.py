#!/usr/bin/env python3
"""coverage - sums up what gcov says, for tests/run --coverage.

usage: tests/coverage.py BUILD GCOV.json MISSED

GCOV.json holds gcov's JSON, one object per line. Prints the share of lines that ran for each file of
lib/ and cmd/, least first, then for each folder and for all; writes the others to MISSED, as
`file:line: text`.
"""

import json
import os
import sys
from collections import defaultdict


def read_lines(build, path):
    """How often each line ran: {file: {line number: times}}, files named from the top."""
    top = os.path.dirname(os.path.abspath(build))
    files = defaultdict(lambda: defaultdict(int))
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            if not line.startswith("{"):
                continue
            report = json.loads(line)
            for source in report["files"]:
                name = os.path.join(build, source["file"])
                name = os.path.relpath(os.path.realpath(name), top)
                if name.endswith(".c") and name.split("/")[0] in ("lib", "cmd"):
                    for counted in source["lines"]:
                        files[name][counted["line_number"]] += counted["count"]
    return top, files


def show(name, ran, of):
    print(f"{100 * ran / of if of else 0:6.1f} % of {of:5d} lines  {name}")


def main():
    build, path, missed = sys.argv[1:]
    top, files = read_lines(build, path)
    sums = {name: (sum(map(bool, lines.values())), len(lines)) for name, lines in files.items()}
    for name in sorted(sums, key=lambda n: sums[n][0] / sums[n][1]):
        show(name, *sums[name])
    print()
    folders = defaultdict(lambda: [0, 0])
    for name, (ran, of) in sums.items():
        for folder in {os.path.dirname(name) + "/", name.split("/")[0] + "/", "in all"}:
            folders[folder][0] += ran
            folders[folder][1] += of
    for folder in sorted(folders):
        show(folder, *folders[folder])
    with open(missed, "w", encoding="utf-8") as out:
        for name in sorted(files):
            with open(os.path.join(top, name), encoding="utf-8") as source:
                text = source.read().split("\n")
            for number in sorted(files[name]):
                if not files[name][number]:
                    out.write(f"{name}:{number}: {text[number - 1].strip()}\n")


main()
