#!/usr/bin/env bash
# TensorFlow 2.21.0: tf.function and Dataset.map compute what the source file holds when they trace, not what was imported.
#
# Guess: a program runs the code that it has imported; an editor or `git checkout` changes the next start, not this one.
# Seen: AutoGraph opens the file when a function is traced first, and compiles the text it finds there: imported as `loss * 1`
# and edited to `loss * 100`, the graph computes the latter, and the same function object, called plainly, the former.
# Who is hurt: who edits a loss, a metric or an augmentation for the next experiment while a run still checks its data, or before
# its first validation: that run goes on with code of both days, and no record shows it. Cure: `tf.function(autograph=False)` and
# `tf.autograph.experimental.do_not_convert`, or to trace everything first.
set -euo pipefail
folder=$(mktemp -d) && trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check tensorflow-cpu==2.21.0 keras==3.15.1 numpy==2.4.6
cat > "$folder/losses.py" <<'PYTHON'
def traced_early(loss):
    return loss * 1


def traced_late(loss):
    return loss * 1


def mapped_late(loss):
    return loss * 1


def guarded(loss):
    return loss * 1
PYTHON
cd "$folder" && TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES=-1 PYTHONPATH=. venv/bin/python - 2>/dev/null <<'PYTHON'
from pathlib import Path

import losses
import tensorflow as tf

early, late = tf.function(losses.traced_early), tf.function(losses.traced_late)
guarded = tf.function(losses.guarded, autograph=False)
one, ones = tf.constant(1.0), tf.data.Dataset.from_tensors(1.0)
early(one)
source = Path("losses.py")
source.write_text(source.read_text().replace("loss * 1", "loss * 100"))
found = {
    "called plainly": losses.traced_late(one),
    "traced before the edit": early(one),
    "traced after it": late(one),
    "mapped after it": next(iter(ones.map(losses.mapped_late))),
    "traced after it, autograph=False": guarded(one),
}
for way, value in found.items():
    print(f"tensorflow {tf.__version__}, imported as 1, edited to 100, {way}: {float(value):g}")
assert [float(value) for value in found.values()] == [1, 1, 100, 100, 1], "this has changed"
PYTHON
