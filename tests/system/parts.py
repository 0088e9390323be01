"""Which test files each of several machines takes, so that they are done at about the same time.

Whole files, since what a file sets up is often the longest part of it. The same ones at each run, for the same files.
"""
from collections import Counter
from pathlib import Path

# Seconds of each file, as tests/system/durations prints them. A file that is not in the list counts by its tests.
MEASURED = Path(__file__).with_name("durations.txt")
A_TEST = 8


def measured():
    lines = (line.split() for line in MEASURED.read_text().splitlines() if not line.startswith("#"))
    return {name: int(seconds) for name, seconds in lines}


def parts_of(files, n):
    """Distribute {name: number of tests} among n parts: a list of sets of names."""
    known = measured()
    seconds = {name: known.get(name, A_TEST * tests) for name, tests in files.items()}
    parts, sums = [set() for _ in range(n)], [0] * n
    for name in sorted(files, key=lambda name: (-seconds[name], name)):
        shortest = sums.index(min(sums))
        parts[shortest].add(name)
        sums[shortest] += seconds[name]
    return parts


def files_of_part(items, wanted):
    """The names of a part's files, of all those that pytest's items are in; wanted: "2/4" is the second of four."""
    number, n = (int(text) for text in wanted.split("/"))
    return parts_of(Counter(item.path.name for item in items), n)[number - 1]
