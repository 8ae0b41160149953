import json
import re
import subprocess
import sys

import keras
import pytest
from conftest import ROOT, Call

from keras_fcn.commands.summary import format_summary
from keras_fcn.network.cost.complexity import summarize

SUMMARY = "keras_fcn/summary.py"


def table(text):
    """Rows of the layers' table: name with its indentation, output, parameters, millions of MACs."""
    lines = text.splitlines()
    rows = [line.rsplit(maxsplit=3) for line in lines[4 : lines.index("", 4)]]
    rows = [(re.sub(r"(?<=\S) {2,}", "  ", head), *cells) for head, *cells in rows]
    return [(head, shape, int(p.replace(",", "")), float(m.replace(",", ""))) for head, shape, p, m in rows]


def test_stages_and_layers_add_up(tmp_path):
    short = Call(SUMMARY, "--model", "fcn8s", "--backbone", "mobilenet_v2", "--size", 97, 131)
    long = Call(SUMMARY, "--backbone", "mobilenet_v2", "--size", 97, 131, "--layers", "--json", tmp_path / "s.json")
    assert (short.status, short.err, long.status, long.err) == (0, "", 0, "")
    summary = json.loads((tmp_path / "s.json").read_text())
    parameters = summary["trainable_parameters"] + summary["other_parameters"]
    for call in (short, long):
        assert max(map(len, call.out.splitlines())) <= 100
        assert f"Parameters: {parameters:,}; " in call.out
        rows = table(call.out)
        outside, inside = [[row for row in rows if row[0].startswith(" ") == yes] for yes in (False, True)]
        (body,) = [row for row in outside if row[0].startswith("mobilenet_v2")]
        assert sum(row[2] for row in outside) == parameters
        assert sum(row[3] for row in outside) == pytest.approx(summary["macs"] / 1e6, abs=0.05 * len(outside))
        assert sum(row[2] for row in inside) == body[2]
        assert sum(row[3] for row in inside) == pytest.approx(body[3], abs=0.05 * len(inside))
    assert len(table(long.out)) == len(summary["layers"]) + 1
    assert [row[0].split()[0] for row in table(short.out) if "block_" in row[0]] == [f"block_{n}" for n in range(1, 17)]
    assert len(table(short.out)) < 40
    assert summary["features"]["P5"] == {"stride": ["32", "32"], "shape": [4, 5, 1280], "receptive_field": [491, 491]}
    assert ["P5", "32", "4x5", "1280", "491x491", "pixels"] in [line.split() for line in short.out.splitlines()]


def test_stages_follow_from_names():
    """Layers between those of a stage belong to it, such as the poolings that keras.applications leaves unnamed."""
    image = keras.Input((None, None, 3))
    x = image
    for name in ("stem_conv", "stem_bn", "block1a_relu", "block1b_relu", None, "block1b_out", "block2a_relu", "fc6"):
        x = keras.layers.ReLU(name=name)(x)
    body = keras.Model(image, {"P5": x, "P4": x}, name="body")
    text = format_summary(summarize(keras.Model(image, keras.layers.ReLU(name="top")(body(image)["P5"])), (6, 5)))
    assert [row[0] for row in table(text)] == [
        "body  8 layers", "  stem  2 layers", "  block1  4 layers", "  block2a_relu  ReLU", "  fc6  ReLU", "top  ReLU",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--size", 0, 480], "--size takes a height and a width of 1 to 100000. Received: 0 480"),
        (["--size", 320, -1], "--size takes a height and a width of 1 to 100000. Received: 320 -1"),
        (["--size", 320], "--size"),
        (["--size", 320, "wide"], "--size"),
        (["--num-classes", 0], "--num-classes must be in 1 to 255. Received: 0"),
        (["--batch-size", 0], "--batch-size must be at least 1. Received: 0"),
        (["--backbone", "alexnet"], "invalid choice 'alexnet' for argument '--backbone'"),
        (["--model", "fcn2s"], "invalid choice 'fcn2s' for argument '--model'"),
        (["--nothing"], "--nothing"),
        (["--json", ROOT / "README.md/s.json"], "README.md/s.json: cannot be written (File exists)"),
        (["--json", ROOT / "tests"], "tests: cannot be written (Is a directory)"),
    ],
)
def test_mistakes_are_one_line(words, message):
    call = Call(SUMMARY, *words)
    assert (call.status, call.out) == (2, "")
    assert message in call.err
    assert len(call.err.splitlines()) == 1


def test_help_does_not_wait_for_tensorflow():
    program = "import sys, keras_fcn.summary; print({'keras', 'tensorflow', 'numpy'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"
    assert "python -m keras_fcn.summary" in (ROOT / "docs/reference/networks.md").read_text()
