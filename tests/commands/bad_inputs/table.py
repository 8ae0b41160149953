"""All cases by kind, and what the docs show of them: `BAD_INPUTS=write python -m pytest tests/commands/bad_inputs`."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

from commands.bad_inputs.case import Case

PAGE = Path(__file__).parents[3] / "docs/explanation/bad_inputs.md"
KINDS = (
    "images", "masks", "tables", "annotations", "folders", "options", "settings", "weights", "models", "requests",
)  # fmt: skip
SAMPLE = {
    "Images": "a web page with the suffix .jpg, named",
    "Masks": "an id that no class has, trained on",
    "Classes and lists": "an id that is there twice",
    "Annotations": "coco: a polygon of one point",
    "Folders": "medical volumes, trained on",
    "Options": "train --crop-size many many",
    "Settings": "a setting with a dash",
    "Weights": "npz: pickled objects",
    "Models and runs": "onnx: cut off",
}
"""A case of each kind that `make test` tries; that of requests takes a server."""

Row = tuple[str, int, int, int]


def all_cases() -> list[tuple[str, Case]]:
    """Returns all cases, each with its kind."""
    found = []
    for name in KINDS:
        module = importlib.import_module(f"commands.bad_inputs.kinds.{name}")
        found += [(module.KIND, case) for case in module.cases()]
    return found


def counts(cases: list[tuple[str, Case]]) -> list[Row]:
    """Returns each kind with the numbers of its cases, of those to be refused and of those to be handled; then all."""
    rows = []
    for kind in dict.fromkeys(kind for kind, _ in cases):
        handled = [case.handled is not None for of_kind, case in cases if of_kind == kind]
        rows.append((kind, len(handled), handled.count(False), handled.count(True)))
    return [*rows, ("**all**", *(sum(row[place] for row in rows) for place in (1, 2, 3)))]


def table(rows: list[Row]) -> str:
    """Returns the numbers as a table; the slow test holds that no case is silent and none ends in a traceback."""
    head = [
        "| kind | tried | refused in one line | handled, and said | silent | tracebacks |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    return "\n".join(
        [*head, *(f"| {kind} | {tried} | {refused} | {handled} | 0 | 0 |" for kind, tried, refused, handled in rows)]
    )


def examples(lines: dict[str, str]) -> str:
    """Returns a line of each kind in a list, by the case's name; a table would cut long lines off."""
    return "\n".join(f"- {name}: `` {line} ``" for name, line in lines.items())


def written(page: str, name: str, content: str) -> str:
    """Returns a page with other content between the comments of a name."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    return re.sub(f"(?s){begin}.*?{end}", lambda _: f"{begin}\n\n{content}\n\n{end}", page)
