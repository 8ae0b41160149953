"""Runs harnesses by atheris: python tests/project/fuzz/fuzz.py [--minutes 10] [--only rle,npz] [--to fuzz].

Each runs for as many minutes in a process of its own. Inputs that are worth keeping stay in fuzz/corpus/NAME for the
next run; fuzz/finds/NAME gets the first input for each place at which the property broke, with its traceback.
"""

import argparse
import hashlib
import importlib.util
import os
import random
import re
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path[:0] = [str(path) for path in (ROOT, HERE, *(ROOT / "tests/support").glob("*/"), ROOT / "tests/support")]
OURS = ["keras_fcn", "export"]
LONGEST, MOST_MEMORY, MOST_SECONDS = 1 << 14, 4096, 60
"""Bytes of an input; MiB and seconds after which libFuzzer ends the process."""


def place_of(error):
    """Returns where an error was raised, in our own code, and the errors of other names at the same place apart."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if str(ROOT) in frame.filename]
    frame = frames[-1] if frames else traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} {Path(frame.filename).stem} {frame.lineno}"


def fuzz(name, seconds, to):
    """Runs one harness in this process, which ends with it."""
    import atheris

    with atheris.instrument_imports(include=OURS, enable_loader_override=False):
        from harnesses import HARNESSES
    harness = HARNESSES[name]
    corpus, finds, seen = to / "corpus" / name, to / "finds" / name, set()
    for folder in (corpus, finds):
        folder.mkdir(parents=True, exist_ok=True)
    for seed in harness.seeds():
        harness.check(seed)
        (corpus / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)

    def once(data):
        try:
            harness(data)
        except Exception as error:
            place = place_of(error)
            if place in seen:
                return
            seen.add(place)
            (finds / place.replace(" ", "-")).write_bytes(data)
            (finds / f"{place.replace(' ', '-')}.txt").write_text(
                traceback.format_exc(), encoding="utf-8", errors="replace"
            )
            print(f"find: {name}: {place}: {str(error)[:200]!a}", flush=True)

    def mutate(data, most, seed):
        if seed % 3 == 0:
            return atheris.Mutate(data, most)
        return harness.mutate(bytes(data), random.Random(seed))[:most]

    options = [f"-max_total_time={seconds}", f"-max_len={LONGEST}", f"-rss_limit_mb={MOST_MEMORY}"]
    options += [f"-timeout={MOST_SECONDS}", f"-artifact_prefix={finds}/", "-print_final_stats=1", "-verbosity=0"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], once, custom_mutator=mutate)
    atheris.Fuzz()


def run(name, minutes, to):
    """Runs one harness in a process; returns how many inputs were tried, and how many places broke."""
    with tempfile.TemporaryDirectory(prefix="keras_fcn_fuzz") as folder:
        command = [sys.executable, __file__, "--in-process", name, "--minutes", str(minutes), "--to", str(to)]
        environment = os.environ | {"TMPDIR": folder, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
        told = subprocess.run(command, env=environment, text=True, errors="replace", capture_output=True)
    text = told.stdout + told.stderr
    finds = re.findall(r"^find: .*", text, re.MULTILINE)
    tried = re.findall(r"number_of_executed_units: (\d+)", text)
    if told.returncode or not tried:
        finds.append(f"find: {name}: the process ended with {told.returncode}\n{text[-2000:]}")
    print("\n".join([*finds, f"{name}: {tried[-1] if tried else 'unknown'} inputs, {len(finds)} finds"]), flush=True)
    return len(finds)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=1, help="minutes of each harness")
    parser.add_argument("--only", default="", help="names of harnesses, with commas between; all without")
    parser.add_argument("--to", type=Path, default=ROOT / "fuzz", help="folder of inputs that are kept, and of finds")
    parser.add_argument("--in-process", metavar="NAME", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.in_process:
        return fuzz(given.in_process, round(60 * given.minutes), given.to)
    if importlib.util.find_spec("atheris") is None:
        parser.error("needs atheris: pip install -r requirements-fuzz.txt")
    from harnesses import HARNESSES

    names = given.only.split(",") if given.only else [*HARNESSES]
    if unknown := sorted({*names} - HARNESSES.keys()):
        parser.error(f"there is no harness {', '.join(unknown)}; there are {', '.join(HARNESSES)}")
    finds = sum([run(name, given.minutes, given.to) for name in names])
    if finds:
        print(f"{finds} finds: see {given.to / 'finds'}")
    return 1 if finds else 0


if __name__ == "__main__":
    sys.exit(main())
