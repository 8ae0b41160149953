"""LiteRT's files, computed by LiteRT's interpreter."""

from __future__ import annotations

import contextlib
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from keras_fcn.errors import UserError
from keras_fcn.images.classes import ClassTable
from keras_fcn.inference.engines.engine import (
    IDS,
    PROBABILITIES,
    Engine,
    Opened,
    engine_of_file,
    require_images,
    unreadable,
)
from keras_fcn.inference.engines.facts import Facts
from keras_fcn.inference.engines.parts.content import mapped
from keras_fcn.inference.engines.parts.litert import part_of
from keras_fcn.runs.names import PrecisionName
from keras_fcn.system.startup import stderr_unless_it_fails
from keras_fcn.system.text import ZIP_FAULTS, load_json, reason_of, require_plain_compression

PROGRAM, COMMAND = "LiteRT", "export.litert"

LABELS_IN_FILE, FACTS_IN_FILE = "labels.txt", "metadata.json"
"""The class names, one a line, and all texts of `Facts`, in the ZIP archive at the end of the file, where LiteRT keeps
associated files."""

_LARGEST_FACTS = 1 << 20
"""Bytes of these files at most; they have some thousand."""

_PIXELS_AT_ONCE = 1 << 16
"""Pixels of the images of a call, unless one has more: more calls take 1.00 to 1.04 of the time, and less memory."""

_KINDS = {np.uint8: IDS, np.float32: PROBABILITIES}


def open_litert(path: Path, threads: int, precision: PrecisionName = "auto") -> Engine:
    """Opens a file of `python -m export.litert`.

    Args:
        path: The file.
        threads: Number of threads.
        precision: Is float32 in any case.

    Raises:
        UserError: If it is damaged, or was not written by this program.
    """
    facts = facts_in(path)  # first: what is cut off has no archive at its end, and LiteRT might read beyond
    interpreter = _interpreter(path, threads, None)
    entry = interpreter.get_input_details()[0]
    shape = tuple(None if length < 0 else int(length) for length in entry["shape_signature"])
    found = f"{np.dtype(entry['dtype'])} {list(shape)}"
    require_images(path, COMMAND, shape, entry["dtype"] is np.uint8, found, facts.channels)
    outputs = {_KINDS.get(output["dtype"], ""): output["index"] for output in interpreter.get_output_details()}
    # Of several outputs each has an interpreter of its own once it is asked for: that of the file computes them all.
    parts = dict.fromkeys(outputs, interpreter) if len(outputs) == 1 else {}
    content = memoryview(b"") if parts else mapped(path)
    del interpreter
    allocated: dict[str, tuple[int, ...]] = {}

    def run(images: np.ndarray, output: str) -> np.ndarray:
        if output not in parts:
            parts[output] = _interpreter(path, threads, content, outputs[output])
        number = shape[0] or max(1, _PIXELS_AT_ONCE // (images.shape[1] * images.shape[2]))
        found = [run_at_once(images[start : start + number], output) for start in range(0, len(images), number)]
        return found[0] if len(found) == 1 else np.concatenate(found)

    def run_at_once(images: np.ndarray, output: str) -> np.ndarray:
        part = parts[output]
        try:
            if allocated.get(output) != images.shape:
                part.resize_tensor_input(entry["index"], images.shape)
                # At first it tells of its delegates.
                with contextlib.nullcontext() if output in allocated else stderr_unless_it_fails():
                    part.allocate_tensors()
                allocated[output] = images.shape
            part.set_tensor(entry["index"], images)
            part.invoke()
            return part.get_tensor(outputs[output])
        except (ValueError, RuntimeError) as error:
            allocated.pop(output, None)
            if "alloc" in str(error):
                raise MemoryError(reason_of(error)) from None
            raise UserError(f"{path}: fails in {PROGRAM} ({reason_of(error)})") from None

    return engine_of_file(path, Opened(PROGRAM, COMMAND, facts, run, shape, frozenset(outputs)))


def _interpreter(path: Path, threads: int, content: memoryview | None, output: int = 0) -> Any:
    """Returns an interpreter of a file, or of the part of a content that an output takes; raises UserError if none."""
    from ai_edge_litert.interpreter import Interpreter

    try:
        if content is None:
            return Interpreter(str(path), num_threads=threads)
        return Interpreter(model_content=part_of(content, output), num_threads=threads)
    except (ValueError, RuntimeError, LookupError) as error:
        raise unreadable(path, PROGRAM, COMMAND, reason_of(error)) from None


def facts_in(path: Path) -> Facts:
    """Returns what a file says of its network; earlier versions kept the names in it, and the colours beside it.

    Raises:
        UserError: If it is cut off, or was not written by this program.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            require_plain_compression(archive)
            if sum(member.file_size for member in archive.infolist()) > _LARGEST_FACTS:
                raise UserError(f"has more than {_LARGEST_FACTS >> 20} MiB of texts at its end; export your run")
            if FACTS_IN_FILE in archive.namelist():
                return Facts.from_texts(path, load_json(archive.read(FACTS_IN_FILE)), COMMAND)
            names = archive.read(LABELS_IN_FILE).decode().splitlines()
        labels = path.with_name("labels.json")
        beside = ClassTable.from_dict(load_json(labels.read_text(encoding="utf-8"))) if labels.is_file() else None
        return Facts("", beside if beside is not None and list(beside.names) == names else ClassTable.named(names))
    except UserError as error:
        raise UserError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from None
    except (OSError, KeyError, ValueError, TypeError, *ZIP_FAULTS):
        raise UserError(
            f"{path}: has no class names at its end: it is cut off, or no file of python -m {COMMAND}; export your run "
            "with that"
        ) from None
