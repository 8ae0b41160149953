"""Runs the notebooks from top to bottom and keeps their outputs: `python notebooks/execute.py [NAME.ipynb ...]`."""

from __future__ import annotations

import base64
import io
import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

HERE = Path(__file__).parent
TRANSLATIONS = {"fcn.ipynb": "fcn.zh-CN.ipynb"}
"""A notebook, and the one in another language that has the same code, and so the same outputs."""

_CELL_SECONDS = 3600


def execute(notebook: nbformat.NotebookNode, folder: Path, parameters: str | None = None) -> None:
    """Runs all cells in a new kernel, and puts what they return and print into the notebook.

    Args:
        notebook: Is changed in place.
        folder: Where it runs: data and runs are written there.
        parameters: What stands for the source of the cell tagged "parameters", to run on less data.

    Raises:
        nbclient.exceptions.CellExecutionError: If a cell raises.
    """
    cells = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ())]
    if parameters is not None:
        cells[0].source = parameters
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(HERE.parent), before)))
    try:
        client = NotebookClient(
            notebook, timeout=_CELL_SECONDS, record_timing=False, coalesce_streams=True,
            resources={"metadata": {"path": str(folder)}},
        )  # fmt: skip
        client.execute()
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def tidy(notebook: nbformat.NotebookNode) -> None:
    """Takes out what says more about a machine than about the notebook, and makes pictures small."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if "data" in output and "image/png" in output.data:
                output.data["image/png"] = _with_few_colors(output.data["image/png"])
                output.data.pop("image/jpeg", None)  # Pillow's pictures offer themselves as both


def _with_few_colors(png: str) -> str:
    """Returns a PNG, in base 64, with a palette of 256 colours: a third of the size."""
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    file = io.BytesIO()
    picture.quantize(256, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def translate(notebook: nbformat.NotebookNode, translation: nbformat.NotebookNode) -> None:
    """Copies code, outputs and their numbers into the cells of a translation.

    Raises:
        ValueError: If the two have other kinds of cells.
    """
    if [cell.cell_type for cell in notebook.cells] != [cell.cell_type for cell in translation.cells]:
        raise ValueError("the translation has other cells than the notebook: add or remove the same in both")
    for cell, translated in zip(notebook.cells, translation.cells):
        if cell.cell_type == "code":
            translated.update({key: cell[key] for key in ("source", "outputs", "execution_count")})
    translation.metadata = notebook.metadata


def main(names: list[str]) -> None:
    """Executes notebooks of this folder, all of them if none is named, and writes them with their translations."""
    originals = [path.name for path in sorted(HERE.glob("*.ipynb")) if path.name not in TRANSLATIONS.values()]
    for name in names or originals:
        notebook = nbformat.read(HERE / name, nbformat.NO_CONVERT)
        with tempfile.TemporaryDirectory() as folder:
            execute(notebook, Path(folder))
        tidy(notebook)
        nbformat.write(notebook, HERE / name)
        if name in TRANSLATIONS:
            translation = nbformat.read(HERE / TRANSLATIONS[name], nbformat.NO_CONVERT)
            translate(notebook, translation)
            nbformat.write(translation, HERE / TRANSLATIONS[name])
        print(f"{name}: {(HERE / name).stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main(sys.argv[1:])
