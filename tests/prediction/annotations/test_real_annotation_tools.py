"""The real tools read what is written for them. They run in their own environments, which variables name."""

import os
import subprocess

import numpy as np
import pytest
from conftest import ROOT
from test_annotation_tools import CLASSES, scenes, write
from test_outlines import far_from_edge

PYTHONS = {
    tool: os.environ.get(f"KERAS_FCN_{tool.upper()}_PYTHON")
    for tool in ("labelme", "cvat", "yolo", "labelstudio", "coco")
}


@pytest.mark.parametrize("tool", PYTHONS)
@pytest.mark.parametrize("tolerance", [0, 1.5])
def test_the_tool_itself_draws_the_masks(tool, tolerance, tmp_path):
    if PYTHONS[tool] is None:
        pytest.skip(f"KERAS_FCN_{tool.upper()}_PYTHON names no Python that has what tests/extras/read_by_tools.py says")
    truth = scenes(tmp_path / "photos")
    write(tmp_path / "photos", tmp_path / "predicted", tolerance, truth)
    (tmp_path / "classes.txt").write_text("\n".join(CLASSES.names), encoding="utf-8")
    read = [PYTHONS[tool], str(ROOT / "tests/extras/read_by_tools.py"), tool, str(tmp_path), str(tmp_path / "ids.npz")]
    subprocess.run(read, check=True)
    with np.load(tmp_path / "ids.npz") as found:
        for name, ids in truth.items():
            different = np.argwhere(found[name.rpartition("/")[2]] != ids)
            far = np.min([far_from_edge(different, ids == index) for index in range(4)], axis=0).max(initial=0)
            assert far <= tolerance
