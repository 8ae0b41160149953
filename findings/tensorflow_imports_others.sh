#!/usr/bin/env bash
# TensorFlow 2.21.0 with Keras 3.15.1: importing it imports scikit-learn, Matplotlib, OpenCV and JAX, too, where they are.
#
# Guess: `import tensorflow` loads TensorFlow, Keras and what they require; what else is installed makes no difference.
# Seen: it loads Keras, which tries scikit-learn for its wrappers and Matplotlib and OpenCV for its pictures; and LiteRT's
# converter, which tries JAX. With them come SciPy and joblib: some thousand modules and a second of processor time more.
# Who is hurt: commands, workers and servers that start often, and whoever measures in an environment that holds little.
# A program that needs none of them can let them seem missing while it imports: sys.modules["sklearn"] = None.
set -euo pipefail
folder=$(mktemp -d) && trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check tensorflow-cpu==2.21.0 keras==3.15.1 \
    numpy==2.4.6 scikit-learn==1.9.1 matplotlib==3.11.1 opencv-python-headless==5.0.0.93 jax==0.10.2
TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES=-1 "$folder/venv/bin/python" - 2>/dev/null <<'PYTHON'
import subprocess
import sys

OTHERS = ("sklearn", "scipy", "joblib", "matplotlib", "cv2", "jax")
REPORT = f"""
import tensorflow
import sys
import time
print(*(name for name in {OTHERS} if sys.modules.get(name)), "|", len(sys.modules), f"{{time.process_time():.1f}}")
"""


def imported(before=""):
    """Returns the other packages that are loaded then, the number of modules, and seconds of processor time."""
    text = subprocess.run([sys.executable, "-c", before + REPORT], check=True, capture_output=True, text=True).stdout
    names, figures = text.split("|")
    return names.split(), *figures.split()


names, modules, seconds = imported()
fewer, less, sooner = imported(f"import sys; sys.modules.update(dict.fromkeys({OTHERS}))")
print(f"import tensorflow loads {', '.join(names)}: {modules} modules in {seconds} s; without them {less} in {sooner} s")
assert names == list(OTHERS) and not fewer, "this has changed"
PYTHON
