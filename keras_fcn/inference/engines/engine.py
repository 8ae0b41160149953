"""What every program that computes a trained network looks like to the rest."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np

from keras_fcn.errors import UserError
from keras_fcn.images.classes import ClassTable
from keras_fcn.images.values.channels import RGB, Channels
from keras_fcn.inference.arrays import ProbabilityFunction, Segment
from keras_fcn.inference.decision import Decision
from keras_fcn.inference.engines.facts import Facts
from keras_fcn.inference.large import WholeImages

IDS, PROBABILITIES = "classes", "probabilities"
"""The outputs of an exported file: class ids uint8 [N, H, W], and probabilities float32 [N, H, W, C]."""

Run: TypeAlias = Callable[[np.ndarray, str], np.ndarray]
"""From images uint8 [N, H, W, channels], at least one, and the name of an output to its values."""


@dataclasses.dataclass(frozen=True)
class Engine:
    """A trained network and the program that computes it.

    Its functions take one call at a time.

    Attributes:
        program: The program's name, such as "ONNX Runtime".
        classes: Names and colours of the ids.
        segment: From images uint8 [N, H, W, channels] to class ids uint8 [N, H, W].
        score: From the same images to probabilities float32 [N, H, W, C]; None if the file has none.
        whole: The images that are computed as a whole where memory matters; None if all are.
        size: Height and width of all images; None for any.
        batch: The number of images that the program computes in a call; None for any. Others are filled up.
        decide: How class ids follow from probabilities.
        channels: The channels of images.
        fix: How to export the network with probabilities, for error messages.
        sight: The function that returns how many pixels a pixel sees to one side; None if that is not known.
        network: The fingerprint of the network that an exported file was compared with; "" if it does not say.
    """

    program: str
    classes: ClassTable
    segment: Segment
    score: ProbabilityFunction | None
    whole: WholeImages | None = None
    size: tuple[int, int] | None = None
    batch: int | None = None
    decide: Decision = dataclasses.field(default_factory=Decision)
    channels: Channels = RGB
    fix: str = "export the run again: python -m export.saved_model RUN DIR"
    sight: Callable[[], float] | None = None
    network: str = ""


@dataclasses.dataclass(frozen=True)
class Opened:
    """An exported file, opened by its program.

    Attributes:
        program: The program's name.
        command: The module that exports such files.
        facts: What the file says of its network.
        run: The function that computes an output.
        shape: The shape of its images [N, H, W, channels], None for what is free.
        outputs: The outputs that it has.
    """

    program: str
    command: str
    facts: Facts
    run: Run
    shape: tuple[int | None, ...]
    outputs: frozenset[str]


def program_in(program: str, bfloat16: bool) -> str:
    """Returns a program's name and, unless it is float32, what it computes in."""
    return f"{program}, bfloat16" if bfloat16 else program


def engine_of_file(path: Path, opened: Opened) -> Engine:
    """Returns the engine of an exported file.

    Raises:
        UserError: By its functions, if images have another size than the file takes.
    """
    classes, (batch, height, width, _) = opened.facts.classes, opened.shape
    try:
        decide = Decision.of(opened.facts.thresholds, classes)
    except UserError as error:
        raise UserError(f"{path}: {error}; export your run again") from None
    size = None if height is None or width is None else (height, width)

    def compute(images: np.ndarray, output: str) -> np.ndarray:
        images = np.ascontiguousarray(images)
        if not images.size:  # engines fail on batches without images, and on images without pixels
            channels = () if output == IDS else (classes.num_classes,)
            return np.zeros((*images.shape[:3], *channels), np.uint8 if output == IDS else np.float32)
        _require_taken(path, opened, images.shape)
        if batch is None or batch == len(images):
            return opened.run(images, output)
        parts = (images[start : start + batch] for start in range(0, len(images), batch))
        return np.concatenate([opened.run(_filled(part, batch), output)[: len(part)] for part in parts])

    def score(images: np.ndarray) -> np.ndarray:
        return compute(images, PROBABILITIES)

    def segment(images: np.ndarray) -> np.ndarray:
        return compute(images, IDS) if IDS in opened.outputs else decide(score(images))

    is_scored = PROBABILITIES in opened.outputs
    whole = WholeImages.of(classes.num_classes, opened.facts.input_scale) if is_scored and size is None else None
    fix = f"export the run again: python -m {opened.command} RUN DIR --output both"
    sight = opened.facts.sight
    known = None if sight is None else lambda: sight
    scored = score if is_scored else None
    return Engine(
        opened.program,
        classes,
        segment,
        scored,
        whole,
        size,
        batch,
        decide,
        opened.facts.channels,
        fix,
        known,
        opened.facts.network,
    )


def _require_taken(path: Path, opened: Opened, shape: tuple[int, ...]) -> None:
    """Raises UserError if a file has another fixed size than these images."""
    wanted = opened.shape
    if any(most not in (None, given) for most, given in zip(wanted[1:3], shape[1:3])):
        size = " ".join(map(str, wanted[1:3]))
        raise UserError(
            f"{path}: takes images of {wanted[1]} x {wanted[2]} pixels alone, as it was exported with --size {size}; "
            f"resize them, or export it without --size. Received: {shape[1]} x {shape[2]}"
        )


def _filled(images: np.ndarray, batch: int) -> np.ndarray:
    """Returns images with the last one repeated, until there are as many as a file takes in each call."""
    return np.concatenate([images, np.repeat(images[-1:], batch - len(images), axis=0)])


def require_images(
    path: Path, command: str, shape: tuple[int | None, ...], is_uint8: bool, found: str, channels: Channels = RGB
) -> None:  # fmt: skip
    """Raises UserError if a file's input is not images uint8 [N, H, W, channels].

    Args:
        path: The file.
        command: The module that exports such files.
        shape: The input's shape, None for what is free.
        is_uint8: Whether its values are bytes.
        found: The input as the file has it, for the message.
        channels: The channels that the file says it takes.
    """
    if len(shape) != 4 or shape[3] != channels.count or not is_uint8:
        raise UserError(
            f"{path}: takes {found}, not images uint8 [N, H, W, {channels.count}]: it is no file of python -m "
            f"{command}, or one for another program (--deepness)"
        )


def unreadable(path: Path, program: str, command: str, reason: str) -> UserError:
    """Returns the error of a file that a program cannot open."""
    return UserError(f"{path}: cannot be opened by {program} ({reason}); export it again: python -m {command} RUN DIR")
