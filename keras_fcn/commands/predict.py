"""Segments photographs and videos with a trained network; `python predict.py --help` explains the options."""

import sys

from keras_fcn.prediction.options import PredictOptions
from keras_fcn.prediction.predict import run_prediction
from keras_fcn.system.command_line import USER_ERROR, parse_options

SOME_FAILED = 1


def main() -> int:
    """Predicts all that can be decoded, names the rest, and returns the exit status."""
    options = parse_options(PredictOptions, sys.argv[1:])
    outcome = run_prediction(options, sys.stdin)
    for failure in outcome.failures:
        print(f"error: {failure}", file=sys.stderr)
    if outcome.failures and len(outcome.failures) == outcome.total:
        return USER_ERROR
    there = f", {outcome.skipped} were there already" if outcome.skipped else ""
    folders = ", ".join(f"{name}/" for name in options.write)
    print(f"{outcome.done} of {outcome.total} segmented{there}: {folders} in {options.out}")
    return SOME_FAILED if outcome.failures else 0
