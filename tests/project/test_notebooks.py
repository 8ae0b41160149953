"""The notebooks run from top to bottom, and what is kept of them is whole, small, and says nothing of a machine."""

import ast
import re
import runpy

import nbformat
import pytest
from conftest import ROOT

import keras_fcn

FOLDER = ROOT / "notebooks"
NAMES = sorted(path.name for path in FOLDER.glob("*.ipynb"))
NARROW = f"import sys\nsys.path.append({str(ROOT / 'tests/support')!r})\nimport narrow\n"
FAST = {
    "fcn.ipynb": f"{NARROW}from keras_fcn.training.records.writer import RunWriter\n"
    "RunWriter.draw_curves = RunWriter.draw_predictions = lambda self: None  # no cell shows these pictures\n"
    "TRAINING_SCENES, VALIDATION_SCENES = 16, 24\nEPOCHS = MORE_EPOCHS = HEAD_EPOCHS = 1",
    "your_own_data.ipynb": f"{NARROW}import keras_fcn\nSCENES, EPOCHS = 12, 1\nkeras_fcn.start_tensorflow()",
}
"""What stands for the cell of parameters where only the code is to be tried."""

TOOL = runpy.run_path(str(FOLDER / "execute.py"))


def opened(name):
    return nbformat.read(FOLDER / name, nbformat.NO_CONVERT)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def texts_of(cell):
    for output in cell.outputs:
        yield output.text if output.output_type == "stream" else output.data.get("text/plain", "")


def kinds_of(cell):
    """What a cell leaves behind: text, pictures, errors, in order."""
    return [output.get("name") or sorted(set(output.data) & {"image/png"}) for output in cell.outputs]


def pictures_of(notebook):
    return [o for cell in code_cells(notebook) for o in cell.outputs if "image/png" in o.get("data", ())]


@pytest.mark.parametrize("name", FAST)
def test_it_runs_and_its_outputs_are_of_the_kinds_that_are_kept(name, tmp_path):
    kept, notebook = opened(name), opened(name)
    TOOL["execute"](notebook, tmp_path, FAST[name])
    for cell, before in zip(code_cells(notebook), code_cells(kept), strict=True):
        assert kinds_of(cell) == kinds_of(before), cell.source


@pytest.mark.slow
@pytest.mark.parametrize("name", FAST)
def test_it_runs_with_all_data_and_its_predictions_are_good(name, tmp_path):
    notebook = opened(name)
    TOOL["execute"](notebook, tmp_path)
    printed = "".join(text for cell in code_cells(notebook) for text in texts_of(cell))
    best = max(float(share) for share in re.findall(r"mean IoU +([\d.]+)%", printed))
    assert best > 60


@pytest.mark.parametrize("name", NAMES)
def test_all_cells_were_run_in_order_without_an_error(name):
    notebook = opened(name)
    nbformat.validate(notebook)
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        assert {o.get("name", "stdout") for o in cell.outputs} <= {"stdout"}, cell.source
        assert "error" not in {o.output_type for o in cell.outputs}
        assert cell.outputs or not re.search(r"^(print|draw)", cell.source, re.MULTILINE), cell.source
    assert len(pictures_of(notebook)) >= 3


@pytest.mark.parametrize("name", NAMES)
def test_it_is_small_and_says_nothing_of_the_machine(name):
    notebook = opened(name)
    assert (FOLDER / name).stat().st_size < 1_500_000
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert notebook.metadata.language_info == {"name": "python"}
    for cell in code_cells(notebook):
        assert set(cell.metadata) <= {"tags"}
        for text in texts_of(cell):
            assert not re.search(r"(?<![\w.])/\w+/|0x[0-9a-f]{6}|\r|\x1b", text), text


@pytest.mark.parametrize(("name", "translation"), TOOL["TRANSLATIONS"].items())
def test_the_translation_has_the_same_code_and_outputs(name, translation):
    original, chinese = opened(name), opened(translation)
    assert [cell.cell_type for cell in original.cells] == [cell.cell_type for cell in chinese.cells]
    for cell, translated in zip(original.cells, chinese.cells):
        if cell.cell_type == "code":
            assert (translated.source, translated.outputs) == (cell.source, cell.outputs)
            continue
        assert re.search(r"[\u4e00-\u9fff]", translated.source)
        assert not re.search(r"[\u3001-\uffef]\n[\u3001-\uffef]", translated.source), "shown as a gap between words"
        assert re.findall(r"^#+", translated.source, re.MULTILINE) == re.findall(r"^#+", cell.source, re.MULTILINE)
        code = set(re.findall(r"`([^`]+)`", translated.source)) - {"README.zh-CN.md"}
        assert code <= set(re.findall(r"`([^`]+)`", cell.source))
        figures = r"\d+(?:\.\d+)?"
        assert set(re.findall(figures, translated.source)) <= {*re.findall(figures, cell.source), *"0123456789", "180"}


def test_the_chapter_uses_the_public_names_only():
    source = "\n".join(cell.source for cell in code_cells(opened("fcn.ipynb")))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            assert not any(alias.name.startswith("keras_fcn.") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.module.startswith(("keras_fcn", "export"))
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "keras_fcn":
            assert node.attr in keras_fcn.__all__


def test_own_data_takes_eleven_cells():
    assert len(code_cells(opened("your_own_data.ipynb"))) == 11


def test_keeping_outputs(tmp_path):
    new = nbformat.v4
    cells = [
        new.new_code_cell("N = 3", metadata={"tags": ["parameters"]}),
        new.new_code_cell("from PIL import Image\nprint(N)\nImage.new('RGB', (9, 5), (1, 2, 3))"),
    ]
    notebook = new.new_notebook(cells=cells)
    TOOL["execute"](notebook, tmp_path, "N = 4")
    TOOL["tidy"](notebook)
    assert [output.get("text") for output in notebook.cells[1].outputs] == ["4\n", None]
    assert set(notebook.cells[1].outputs[1].data) == {"image/png", "text/plain"}
    chinese = new.new_notebook(cells=[new.new_code_cell("old"), new.new_code_cell("old")])
    TOOL["translate"](notebook, chinese)
    assert [cell.source for cell in chinese.cells] == [cell.source for cell in notebook.cells]
    with pytest.raises(ValueError, match="other cells"):
        TOOL["translate"](notebook, new.new_notebook(cells=cells[:1]))
