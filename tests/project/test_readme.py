"""What the READMEs and the pages promise: their code runs, their options exist, their links lead somewhere."""

import ast
import inspect
import re
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from conftest import ROOT, Call

import keras_fcn

README = (ROOT / "README.md").read_text(encoding="utf-8")
CHINESE = (ROOT / "README.zh-CN.md").read_text(encoding="utf-8")
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
CELL = r"```python\n(.*?)```"
SCRIPTS = (
    "train.py", "predict.py", "evaluate.py", "keras_fcn/check.py", "keras_fcn/convert.py", "keras_fcn/summary.py",
    "export/saved_model.py", "export/serve.py", "export/onnx.py", "benchmarks/train_step.py", "benchmarks/inference.py",
    "benchmarks/serving.py", "benchmarks/quality.py", "benchmarks/attacks.py", "benchmarks/input_pipeline.py",
)  # fmt: skip
ELSEWHERE = {"--logdir", "--labels", "--output"}
"""Options of other programs."""


def cells_of(page):
    return re.findall(CELL, (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)


def test_the_readme_is_short_and_tells_how_to_test():
    assert len(README.split()) <= 1200
    assert len("".join(CHINESE.split())) < len("".join(README.split()))
    command = (ROOT / ".ci/run").read_text(encoding="utf-8").strip().splitlines()[-1]
    assert f"    {command} " in README
    assert f"    {command} " in CHINESE


def test_the_cell_of_the_readme_runs(trained, toy, tmp_path, monkeypatch):
    signature = inspect.signature(keras_fcn.train)

    def train(*arguments, **settings):
        signature.bind(*arguments, **settings)
        return SimpleNamespace(model=keras.models.load_model(trained / "best.keras"))

    (tmp_path / "data").mkdir()
    (tmp_path / "data/toy").symlink_to(toy)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(keras_fcn, "train", train)
    names = {}
    (cell,) = cells_of("README.md")
    exec(cell, names)
    assert (names["ids"].dtype, names["ids"].ndim) == (np.uint8, 2)


def test_the_cell_of_the_guide_runs(tmp_path, monkeypatch):
    cell, *_ = cells_of("docs/how_to/python.md")  # the others need data sets of other libraries
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("keras_fcn.datasets.toy.TOY_IMAGES", {"train": 8, "val": 1})
    names = {}
    exec(cell.replace("steps_per_epoch=80", "verbose=0, steps_per_epoch=1"), names)
    assert (names["ids"].dtype, names["rgb"].shape) == (np.uint8, (*names["ids"].shape, 3))
    assert (tmp_path / "my.keras").is_file()


def test_the_cell_of_the_gallery_draws_its_scenes(tmp_path, monkeypatch):
    (cell,) = cells_of("docs/explanation/gallery.md")
    monkeypatch.chdir(tmp_path)
    exec(cell.replace("400", "1").replace("60", "1"), {})
    assert len(keras_fcn.open_pairs("data/scenes", "train")) == 1


def test_every_public_name_can_be_had():
    for name in keras_fcn.__all__:
        assert getattr(keras_fcn, name) is not None
    assert not hasattr(keras_fcn, "nothing")


@pytest.fixture(scope="module")
def help_of_scripts():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        return "".join(Call(script, "--help").out for script in SCRIPTS)


def test_every_option_that_pages_name_exists(help_of_scripts):
    found = {}
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        found |= dict.fromkeys(re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z](?![\w-])", text), page.name)
    shown = set(re.findall(r"--[a-z][a-z-]+", help_of_scripts)) | {"--help"}
    assert len(found) > 60
    assert {option: page for option, page in found.items() if option not in shown | ELSEWHERE} == {}


def test_the_chinese_readme_has_the_same_code():
    (cell,), (chinese,) = (re.findall(CELL, text, re.DOTALL) for text in (README, CHINESE))
    assert ast.dump(ast.parse(chinese)) == ast.dump(ast.parse(cell))
    commands, theirs = (
        [
            line.split("#")[0].strip()
            for line in re.findall(r"^ {4}(\S.*)$", re.sub(CELL, "", text, flags=re.DOTALL), re.M)
        ]
        for text in (README, CHINESE)
    )
    assert len(theirs) >= 8
    assert theirs == commands


def test_the_chinese_readme_says_nothing_that_the_readme_does_not():
    for code in re.findall(r"(?<!`)`([^`\n]+)`(?!`)", CHINESE):
        assert code in README, code
    assert set(re.findall(r"\d[\d.,]*\d|\d{2,}", CHINESE)) == set(re.findall(r"\d[\d.,]*\d|\d{2,}", README))
    for one, other in (("README.md", CHINESE), ("README.zh-CN.md", README)):
        assert f"]({one})" in other
    assert not re.search(r"[\u3001-\uffef]\n[\u3001-\uffef]", CHINESE), "a line break is shown as a gap between words"


def test_links_lead_to_files():
    for page in ROOT.glob("*.md"):
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (ROOT / link).exists(), f"{page.name}: {link}"
