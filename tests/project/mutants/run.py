"""Changes the code in small ways, one at a time, and counts how many changes the tests notice: `make mutants`."""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT))

from asking import Tests, load  # noqa: E402
from mutations import mutants_of  # noqa: E402
from targets import TARGETS  # noqa: E402

EQUIVALENT = Path(__file__).with_name("equivalent.txt")


def equivalents():
    """Returns the mutants that do what the code does, by their names, and why: lines `NAME # REASON`."""
    lines = EQUIVALENT.read_text(encoding="utf-8").splitlines()
    return dict(line.rsplit(" # ", 1) for line in lines if " # " in line)


def name_of(mutant):
    """Returns what a mutant is, without the number of its line, which changes with those above."""
    return f"{mutant.path.relative_to(ROOT)}: {mutant.before} => {mutant.after}"


def try_mutants(target, sample, seed, known):
    """Returns how many mutants a target has, and how many of a sample ended how; prints those that remained."""
    paths = sorted(path for pattern in target.files for path in ROOT.glob(pattern))
    tests = Tests(ROOT, paths, [f"tests/{test}" for test in target.tests], target.without)
    makers = [make for path in paths for make in mutants_of(path)]
    random.Random(seed).shuffle(makers)
    ends = Counter()
    for make in makers:
        if sample and ends.total() == sample:
            break
        if (mutant := make()) is None:
            continue
        name = name_of(mutant)
        end = "equivalent" if name in known else tests.notice(mutant) or "remained"
        ends[end] += 1
        if end == "remained":
            print(f"  line {mutant.line} of {name}", flush=True)
    return len(makers), ends


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", choices=TARGETS, help="what is changed; all by default")
    parser.add_argument("--sample", type=int, default=100, help="how many mutants of each, 0 for all")
    parser.add_argument("--seed", type=int, default=0, help="draws them")
    parser.add_argument("--least", type=float, default=90, help="percent to be noticed, or the exit status is 1")
    options = parser.parse_args()
    load(["tensorflow"])
    with tempfile.TemporaryDirectory(prefix="mutants-") as bytecode:
        sys.pycache_prefix, sys.dont_write_bytecode = bytecode, False  # compiled once, and not beside the sources
        sys.exit(report(options))


def report(options):
    """Prints how many changes of each target were noticed; returns whether too few were."""
    known, too_few = equivalents(), False
    for name in options.only or TARGETS:
        began = time.monotonic()
        total, ends = try_mutants(TARGETS[name], options.sample, options.seed, known)
        equal, remained = ends.pop("equivalent", 0), ends.pop("remained", 0)
        noticed = ends.total()
        percent = 100 * noticed / max(noticed + remained, 1)
        too_few |= percent < options.least
        how = ", ".join(f"{count} by {end}" for end, count in ends.most_common())
        print(
            f"{name}: {noticed + equal + remained} of {total} mutants, {noticed} noticed ({how}), {equal} equivalent, "
            f"{remained} remained: {percent:.1f}% in {time.monotonic() - began:.0f} s",
            flush=True,
        )
    return too_few


if __name__ == "__main__":
    main()
