"""A bad input, the command that gets it, and what is expected of that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SCRIPTS = {
    "train": "train.py",
    "predict": "predict.py",
    "evaluate": "evaluate.py",
    "check": "keras_fcn/check.py",
    "convert": "keras_fcn/convert.py",
    "summary": "keras_fcn/summary.py",
    **{
        name: f"export/{name}.py" for name in ("saved_model", "onnx", "openvino", "litert", "serve", "hub", "benchmark")
    },
}
"""Commands by their first word; what else is called is a function of Python."""


@dataclass(frozen=True)
class Case:
    """One input.

    Attributes:
        name: A description, for the table and the test's name.
        words: The command line, or a function of Python that gets the folder. It is called in the folder, so that its
            words are relative, and writes to `out` in it, nowhere else.
        make: Makes the input, and all else that the command needs, in an empty folder.
        names: What the line must say: the file or option, and the value.
        handled: None if the input is to be refused: one line, status 2. Otherwise what the output must say of it.
        status: The exit status of a handled input.
        proves: Asserts that what was written of a handled input is right; gets the folder.
        steps: Whether a training goes on beyond its beginning.
    """

    name: str
    words: str | Callable[[Path], object]
    make: Callable[[Path], object]
    names: tuple[str, ...] = ()
    handled: str | None = None
    status: int = 0
    proves: Callable[[Path], None] | None = None
    steps: bool = False

    @property
    def command(self) -> str:
        return self.words.split()[0] if isinstance(self.words, str) else "Python"
