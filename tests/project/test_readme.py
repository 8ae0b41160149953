"""What the READMEs and the pages promise: their code runs, their options exist, their links lead somewhere."""

import ast
import inspect
import io
import re
import tarfile
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import webdataset
from conftest import ROOT, Call
from PIL import Image

import keras_fcn

README = (ROOT / "README.md").read_text(encoding="utf-8")
CHINESE = (ROOT / "README.zh-CN.md").read_text(encoding="utf-8")
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
CELL = r"```python\n(.*?)```"
SCRIPTS = (
    "train.py", "predict.py", "evaluate.py", "keras_fcn/check.py", "keras_fcn/convert.py", "keras_fcn/summary.py",
    "export/saved_model.py", "export/serve.py", "export/onnx.py", "export/hub.py", "export/benchmark.py",
    "export/web/__main__.py",
    "benchmarks/train_step.py",
    "benchmarks/inference.py", "benchmarks/serving.py", "benchmarks/quality.py",
    "benchmarks/attacks.py", "benchmarks/input_pipeline.py", "benchmarks/large_images.py",
    "benchmarks/served_engines.py", "benchmarks/growth.py", "benchmarks/soak.py",
)  # fmt: skip
ELSEWHERE = {
    "--logdir", "--labels", "--directory", "--output", "--no-deps", "--rm", "--model-repository", "--onnx",
}  # fmt: skip
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
    cell, *_ = cells_of("docs/how_to/python.md")  # the others write data sets of other libraries
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("keras_fcn.datasets.toy.TOY_IMAGES", {"train": 8, "val": 1})
    names = {}
    exec(cell.replace("steps_per_epoch=80", "verbose=0, steps_per_epoch=1"), names)
    assert (names["ids"].dtype, names["rgb"].shape) == (np.uint8, (*names["ids"].shape, 3))
    assert (tmp_path / "my.keras").is_file()


class Rows(list):
    """Rows of a data set as TFDS gives them."""

    def as_numpy_iterator(self):
        return iter(self)


def archive(path, content):
    """Writes a tar of files by name."""
    with tarfile.open(path, "w") as tar:
        for name, data in content.items():
            about = tarfile.TarInfo(name)
            about.size = len(data)
            tar.addfile(about, io.BytesIO(data))


@pytest.mark.parametrize("library", ["tfds", "datasets", "webdataset"])
def test_the_cells_of_other_libraries_write_what_is_read_back(library, tmp_path, monkeypatch):
    image, label = np.full((6, 9, 3), 200, np.uint8), np.arange(54, dtype=np.uint8).reshape(6, 9) % 3
    pictures = [Image.fromarray(each) for each in (image, label)]
    files = [encoded(picture, kind) for picture, kind in zip(pictures, ("JPEG", "PNG"))]
    monkeypatch.chdir(tmp_path)
    for split in ("train", "val"):
        archive(
            f"{split}.tar", {f"{number}.{kind}": files[kind == "png"] for number in "01" for kind in ("jpg", "png")}
        )
    rows = Rows([{"image": image, "segmentation_mask": label[..., None]}] * 2)
    cards = [dict(zip(("image", "annotation"), pictures))] * 2
    libraries = {
        "tfds": SimpleNamespace(load=lambda name, split: rows),
        "datasets": SimpleNamespace(load_dataset=lambda name: {"train": cards, "validation": cards}),
        "webdataset": webdataset,
    }
    (cell,) = (cell for cell in cells_of("docs/how_to/python.md") if f"{library}." in cell)
    trained = []
    monkeypatch.setattr(keras_fcn, "train", lambda *arguments: trained.append(arguments))
    exec(cell, {"keras_fcn": keras_fcn, library: libraries[library]})
    for split in ("train", "val"):
        pairs = keras_fcn.open_pairs("my_data", split)
        assert (len(pairs), pairs.classes.names) == (2, ("background", "cat", "dog"))
        for path, mask in zip(pairs.images, pairs.labels):
            np.testing.assert_allclose(keras_fcn.read_image(path), image, atol=1)
            np.testing.assert_array_equal(pairs.read_label(mask), label)
    assert trained == [("fcn8s", "my_data")] * (library == "webdataset")


def encoded(picture, kind):
    file = io.BytesIO()
    picture.save(file, kind)
    return file.getvalue()


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
