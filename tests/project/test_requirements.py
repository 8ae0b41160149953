"""Requirement files name all that is imported, and constraints.txt holds a version of each that they allow."""

import ast
import json
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from itertools import chain

import pytest
from conftest import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PYTHONS = ("3.11", "3.12", "3.13")
FOR_USERS = sorted(set(ROOT.glob("requirements*.txt")) - {ROOT / "requirements-dev.txt"})
ELSEWHERE = ("tests/fixtures/", "tests/extras/")
"""Programs that make files by other frameworks, in environments of their own, as their first lines say."""
ALONE = {ROOT / "requirements-datumaro.txt", ROOT / "requirements-trackers.txt"}
"""For an environment of its own, which takes older packages than the others; and clients of services of one's own."""
DISTRIBUTIONS = {"mlflow": ["mlflow-skinny"], "cv2": ["opencv-python-headless"], **packages_distributions()}
DISTRIBUTIONS["google"] = ["tensorflow"]  # which brings protobuf, in the versions that it takes


def lines_of(path):
    lines = (line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line and not line.startswith("-r ")]


def required(paths):
    return {canonicalize_name(Requirement(line).name) for path in paths for line in lines_of(path)}


def code_of(path):
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return text
    cells = [cell["source"] for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    lines = chain.from_iterable(cell if isinstance(cell, list) else [*cell.splitlines(True), "\n"] for cell in cells)
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines if line[0] not in "%!")


def imported(code):
    """The top-level names of what is imported anywhere in a program, also inside functions."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module.split(".")[0]


def unprovided(folders, files):
    """What programs import that is neither Python's, nor ours, nor a package of these requirement files."""
    paths = [path for folder in folders for kind in ("*.py", "*.ipynb") for path in ROOT.glob(f"{folder}{kind}")]
    paths = [path for path in paths if not str(path.relative_to(ROOT)).startswith(ELSEWHERE)]
    assert len(paths) > 3
    ours = {"keras_fcn", "export", "commands", "common", *(path.stem for path in paths)}
    names = {(path.name, name) for path in paths for name in imported(code_of(path))}
    given = required(files)
    return sorted(
        (path, name)
        for path, name in names
        if name not in sys.stdlib_module_names | ours
        and given.isdisjoint(map(canonicalize_name, DISTRIBUTIONS.get(name, [name])))
    )


def test_what_the_packages_import_is_in_a_requirement_file_for_users():
    assert unprovided(["", "keras_fcn/**/", "export/**/"], FOR_USERS) == []


def test_what_benchmarks_notebooks_documents_and_tests_import_is_in_a_requirement_file():
    files = [*FOR_USERS, ROOT / "requirements-dev.txt"]
    assert unprovided(["benchmarks/**/", "docs/", "notebooks/", "tests/**/"], files) == []


def test_a_missing_requirement_would_be_found():
    code = "import os.path\nfrom . import near\ndef late():\n    import cv2.dnn, PIL\n    from yaml import nodes"
    assert sorted(imported(code)) == ["PIL", "cv2", "os", "yaml"]
    assert ("test_datasets.py", "pytest") in unprovided(["tests/datasets/"], FOR_USERS)


@pytest.mark.parametrize("path", sorted({*ROOT.glob("requirements*.txt")} - ALONE), ids=lambda path: path.stem)
def test_constraints_hold_a_version_that_is_allowed(path):
    pins = [Requirement(line) for line in lines_of(ROOT / "constraints.txt")]  # no options of pip: no index
    for line in lines_of(path):
        wanted = Requirement(line)
        for python in PYTHONS:
            machine = {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": "linux"}
            (pin,) = (
                pin
                for pin in pins
                if canonicalize_name(pin.name) == canonicalize_name(wanted.name)
                and (pin.marker is None or pin.marker.evaluate(machine))
            )
            (version,) = pin.specifier
            assert (version.operator, wanted.specifier.contains(version.version)) == ("==", True), f"{line}: {pin}"


def test_one_list_of_python_versions():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    kinds = project["project"]["classifiers"]
    assert [kind.split(" :: ")[-1] for kind in kinds if "Python :: 3" in kind] == list(PYTHONS)
    assert project["project"]["requires-python"] == ">=3.11,<3.14"
    assert project["tool"]["ruff"]["target-version"] == "py311"
    assert project["tool"]["mypy"]["python_version"] == PYTHONS[0]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.findall(r"\(3, (\d+)\)", makefile) == ["11", "13"]
    assert f"--python-version {PYTHONS[0]} " in makefile
