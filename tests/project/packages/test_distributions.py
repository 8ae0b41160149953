"""Wheel and sdist, each installed into an environment of its own, do outside of the checkout what the README tells.

What the project depends on is lent to that environment by a path file: its packages are those of this one. The project
itself is not: an editable install works by a path file, and Python reads these in its own environment only.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
import tarfile
import urllib.request
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from conftest import ROOT, TINY, Call
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

pytestmark = pytest.mark.slow
KINDS = {"wheel": "*.whl", "sdist": "*.tar.gz"}
NEEDED = ("export/server/page/index.html", "keras_fcn/py.typed", "keras_fcn/runs/recipes/half_an_hour.yaml", "LICENSE")
BUILD = "import sys; from setuptools import build_meta as by; to = sys.argv[1]; by.build_wheel(to); by.build_sdist(to)"


def run(*words, cwd):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ended = subprocess.run([*map(str, words)], cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder of both, built from the files that git knows."""
    source, folder = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in run("git", "ls-files", cwd=ROOT).splitlines():
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    run(sys.executable, "-c", BUILD, folder, cwd=source)
    return folder


@pytest.fixture(scope="module", params=KINDS)
def programs(request, built, tmp_path_factory):
    """The folder of the console scripts of a fresh environment."""
    home = tmp_path_factory.mktemp(request.param)
    run(sys.executable, "-m", "venv", "--without-pip", home, cwd=home)
    (packages,) = home.glob("lib/python*/site-packages")
    (packages / "lent.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
    (archive,) = built.glob(KINDS[request.param])
    install = ("-m", "pip", "install", "--no-deps", "--no-build-isolation", "--force-reinstall", "--prefix", home)
    run(home / "bin/python", *install, archive, cwd=home)
    return home / "bin"


def test_both_hold_what_is_no_code(built):
    (wheel,), (sdist,) = (built.glob(pattern) for pattern in KINDS.values())
    with zipfile.ZipFile(wheel) as file, tarfile.open(sdist) as tar:
        for names in (file.namelist(), tar.getnames()):
            assert [name for name in NEEDED if not any(path.endswith(name) for path in names)] == []
            assert [name for name in names if name.startswith(("tests", "benchmarks"))] == []


def closure(path):
    """The distributions that a file of requirements brings."""
    lines = (line.split("#")[0].strip() for line in path.read_text().splitlines())
    found, waiting = {}, [Requirement(line) for line in lines if line]
    while waiting:
        needed = waiting.pop()
        name = canonicalize_name(needed.name)
        if name not in found and (needed.marker is None or needed.marker.evaluate({"extra": ""})):
            found[name] = metadata.distribution(needed.name)
            waiting += map(Requirement, found[name].requires or ())
    return found.values()


def test_the_runtime_s_packages_are_enough_to_predict(built, trained, toy, tmp_path):
    """A fresh environment with these and, without dependencies, the wheel; both lent file by file."""
    pytest.importorskip("onnxruntime", reason="pip install -r requirements-formats.txt")
    assert Call("export/onnx.py", trained, tmp_path / "exported", "--output", "both").status == 0
    home = tmp_path / "home"
    run(sys.executable, "-m", "venv", "--without-pip", home, cwd=tmp_path)
    (packages,) = home.glob("lib/python*/site-packages")
    for distribution in closure(ROOT / "requirements-runtime.txt"):
        for entry in {file.parts[0] for file in distribution.files} - {"..", "__pycache__"}:
            (packages / entry).symlink_to(distribution.locate_file(entry))
    (archive,) = built.glob("*.whl")
    with zipfile.ZipFile(archive) as wheel:
        wheel.extractall(packages)
    there = run(home / "bin/python", "-c", "import sys, keras_fcn; print(sys.path)", cwd=tmp_path)
    assert there.count("site-packages") == 1
    program = "from keras_fcn.commands.console import {0}; {0}()"
    options = [tmp_path / "exported/model.onnx", toy / "JPEGImages", "--out", tmp_path / "out", "--flip"]
    shown = run(home / "bin/python", "-c", program.format("predict"), *options, cwd=tmp_path)
    assert shown.startswith("13 of 13 segmented")
    options = [tmp_path / "exported/model.onnx", "--data", toy]
    assert "mean IoU" in run(home / "bin/python", "-c", program.format("evaluate"), *options, cwd=tmp_path)


def test_the_console_scripts_train_evaluate_predict_export_and_serve(programs, toy, tmp_path):
    where = run(programs / "python", "-c", "import keras_fcn; print(keras_fcn.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(programs.parent)
    recipe = ["--config", "half_an_hour", "--weights", "none", *TINY]
    run(programs / "keras-fcn-check", toy, cwd=tmp_path)
    run(programs / "keras-fcn-summary", "--backbone", "mobilenet_v2", cwd=tmp_path)
    run(programs / "keras-fcn-train", *recipe, "--data", toy, "--run-dir", "run", cwd=tmp_path)
    settings = json.loads((tmp_path / "run/config.json").read_text())
    assert (settings["backbone"], settings["context"], settings["epochs"]) == ("efficientnet_lite2", "mean", 1)
    assert "mean IoU" in run(programs / "keras-fcn-evaluate", "run", "--data", toy, cwd=tmp_path)
    photo = next(path for path in sorted(toy.rglob("*.jpg")))
    run(programs / "keras-fcn-predict", "run", photo, "--out", "masks", cwd=tmp_path)
    assert [path.name for path in (tmp_path / "masks").rglob(f"{photo.stem}*.png")]
    run(programs / "keras-fcn-export", "run", "exported", cwd=tmp_path)
    with served(programs, tmp_path) as url:
        ask = urllib.request.Request(f"{url}/v2/models/keras_fcn", headers={"Accept": "application/json"})
        assert json.load(urllib.request.urlopen(ask))["name"] == "keras_fcn"
        assert b"page.js" in urllib.request.urlopen(f"{url}/").read()


@contextlib.contextmanager
def served(programs, folder):
    """The address of the server of the exported model while the block runs."""
    command = [str(programs / "keras-fcn-serve"), "exported", "--port", "0"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, cwd=folder, **pipes) as process:
        try:
            yield next(
                found[1] for line in process.stdout if (found := re.search(r"listening at (http://\S+?)/?\s", line))
            )
        finally:
            process.terminate()
