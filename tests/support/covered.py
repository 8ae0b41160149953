"""Adds up which lines and branches tests ran, and fails where these are too few: the end of `make test`."""

import argparse
import json
import sys
from pathlib import Path

import slipcover


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="what SlipCover wrote of each process")
    parser.add_argument("--least", type=float, default=0.0, help="percent of lines and branches")
    parser.add_argument("--files", action="store_true", help="say what is missing in each file")
    options = parser.parse_args()
    first, *others = [json.loads(path.read_bytes()) for path in sorted(options.folder.glob("*.json"))]
    for other in others:
        slipcover.merge_coverage(first, other)
    if options.files:
        slipcover.print_coverage(first, skip_covered=True)
    percent = first["summary"]["percent_covered"]
    print(f"{percent:.2f}% of lines and branches were run, of which at least {options.least:g}% must be")
    return int(percent < options.least)


if __name__ == "__main__":
    sys.exit(main())
