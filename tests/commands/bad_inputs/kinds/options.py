"""Options: numbers out of their ranges, words that are no numbers, names misspelt, and what excludes each other."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

from commands.bad_inputs import material
from commands.bad_inputs.case import Case

from export.onnx import OnnxOptions
from export.saved_model import ExportOptions
from export.server.options import ServeOptions
from keras_fcn.commands.check import CheckOptions
from keras_fcn.commands.convert import ConvertOptions
from keras_fcn.commands.evaluate import EvaluateOptions
from keras_fcn.commands.predict import PredictOptions
from keras_fcn.commands.summary import SummaryOptions
from keras_fcn.commands.train import TrainOptions
from keras_fcn.runs.config import TrainConfig
from keras_fcn.system.options import Range, option

KIND = "Options"
COMMANDS = {
    "train --data data --run-dir out": (TrainConfig, TrainOptions),
    "predict net.onnx data/images --out out": (PredictOptions,),
    "evaluate net.onnx --data data": (EvaluateOptions,),
    "check data": (CheckOptions,),
    "convert data out": (ConvertOptions,),
    "summary": (SummaryOptions,),
    "onnx run out": (OnnxOptions,),
    "saved_model run out": (ExportOptions,),
    "serve served": (ServeOptions,),
}
"""Commands by their first words, which are right, and the classes of their options."""

ANY_TEXT = (
    "data", "layout", "images", "masks", "merge", "ignore_classes", "drop", "group_by", "split", "val_split", "weights",
    "init_from", "run_dir", "resume", "config", "out", "json", "submission", "picture", "calibrate", "host", "splits",
    "classes", "unlabelled",
)  # fmt: skip
"""Options that take a name, a path or a pattern, whose bad values are files' or data's."""


def _make(folder: Path) -> None:
    material.data(folder)
    material.network(folder)
    material.network(folder, "served/1/model.onnx")


def fields(kind: type) -> Iterator[tuple[str, Any]]:
    """Yields the names and annotated types of all options of a class, those of its groups included."""
    hints = get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(kind):
        bare = get_type_hints(kind)[field.name]
        has_default = dataclasses.MISSING in (field.default, field.default_factory)
        if dataclasses.is_dataclass(bare):
            yield from fields(bare)
        elif has_default and (field.default, field.default_factory) != (dataclasses.MISSING,) * 2:
            yield field.name, hints[field.name]


def bad_numbers(hint: Any) -> Iterator[str]:
    """Yields texts for an option of numbers: one that is none, and those of its range's neighbours that it refuses."""
    bare = hint.__origin__ if hasattr(hint, "__metadata__") else hint
    kinds = [bare, *get_args(bare)]
    kinds = [hint.__origin__ if hasattr(hint, "__metadata__") else hint for hint in kinds]
    pair = next((get_args(kind) for kind in kinds if getattr(kind, "__origin__", None) is tuple), ())
    number = next((kind for kind in (*pair[:1], *kinds) if kind in (int, float)), None)
    if number is None:
        return
    count = len(pair) if pair and ... not in pair else 1
    yield " ".join(["many"] * count)
    ranges = [entry for entry in getattr(hint, "__metadata__", ()) if isinstance(entry, Range)]
    for text in ("-1", "0", "1.5", "99999999999", "nan"):
        value = tuple([number(text)] * count) if number is float or text.lstrip("-").isdigit() else None
        if value is None or any(not entry.holds(value if pair else value[0]) for entry in ranges):
            yield " ".join([text] * count)


def cases() -> Iterator[Case]:
    """Yields the bad numbers, words and names of every option of every command, and combinations."""
    for command, kinds in COMMANDS.items():
        for name, hint in {name: hint for kind in kinds for name, hint in fields(kind)}.items():
            flag = option(name)
            for text in bad_numbers(hint):
                yield Case(f"{command.split()[0]} {flag} {text}", f"{command} {flag} {text}", _make, (flag,))
            if "Literal" in str(hint):
                yield Case(f"{command.split()[0]} {flag} nosuch", f"{command} {flag} nosuch", _make, (flag, "nosuch"))
            wrong = flag[:-1] + "x"
            yield Case(f"{command.split()[0]} {wrong}", f"{command} {wrong} 1", _make, (wrong,))
