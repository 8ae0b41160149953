"""What the exports to ONNX, LiteRT and OpenVINO share: options, the way from a model to a file, checks, the report."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import itertools
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import tyro

from keras_fcn.errors import UserError, argument
from keras_fcn.system.command_line import parse_options
from keras_fcn.system.files import write_json, written
from keras_fcn.system.options import AT_LEAST_1, SIZE, Options
from keras_fcn.system.packages import require_packages
from keras_fcn.system.startup import start_tensorflow, stderr_unless_it_fails

if TYPE_CHECKING:
    import keras

    from export.formats.calibration import Calibration
    from export.verification import Comparison

LABELS = "labels.json"
"""The class table beside the file."""


@dataclasses.dataclass(frozen=True)
class Format:
    """A kind of file, and the programs that write and run it.

    Attributes:
        name: What people call it.
        files: Names of its files, the one that is opened last.
        modules: What must be installed to write and to check it.
        int8_modules: What must be installed to quantize.
        classes_first: What `class_graph` takes.
        write: Writes the function of `class_graph` to a path, with the name and the classes of a network, quantized by
            what the last argument yields, images uint8 [1, H, W, 3], if it is given.
        load: Returns the function from images uint8 [N, H, W, 3] to class ids uint8 [N, H, W] of a file; a second
            argument says how many threads it takes.
    """

    name: str
    files: tuple[str, ...]
    modules: tuple[str, ...]
    int8_modules: tuple[str, ...]
    classes_first: bool
    write: Callable[[Any, Path, keras.Model, Callable[[], Iterable[np.ndarray]] | None], None]
    load: Callable[..., Callable[[np.ndarray], np.ndarray]]


@dataclasses.dataclass(frozen=True)
class FormatOptions(Options):
    """Exports a trained network as a file that takes uint8 images [N, H, W, 3], RGB, and gives uint8 classes [N, H, W].

    Normalization, padding, cropping and the choice of the class are inside. The class table lies beside it as
    labels.json. Before the command says that it is done, the file is run and compared with the live model.
    """

    model: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """A run folder (its best model is taken) or a .keras file."""

    directory: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DIR")]
    """The folder to write to; files of an earlier export are replaced."""

    size: Annotated[tuple[int, int] | None, SIZE, tyro.conf.arg(metavar="H W", help_behavior_hint="")] = None
    """Height and width of all images; any, if it is left out. The number of images may always be any."""

    int8: bool = False
    """Compute in 8-bit integers, whose ranges come from photographs of --calibrate."""

    calibrate: Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="")] = None
    """A data set with the model's classes: int8 is set by its split train, the mean IoU is measured on val."""

    photographs: Annotated[int, AT_LEAST_1] = 100
    """How many photographs int8 is set by."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.int8 and self.calibrate is None:
            names = f"{argument('int8')} needs {argument('calibrate')}"
            raise UserError(f"{names} DIR, a data set by whose photographs it is set")


def require_installed(form: Format, int8: bool) -> None:
    """Raises UserError if a package is missing that a format takes."""
    require_packages(form.name, "formats", *form.modules, *(form.int8_modules if int8 else ()))


def export_format(
    form: Format,
    model: keras.Model,
    directory: str | Path,
    size: tuple[int, int] | None = None,
    calibration: Calibration | None = None,
    int8: bool = False,
) -> tuple[Path, list[Comparison]]:
    """Writes a model in another format and compares it with the live one.

    Args:
        form: The format.
        model: A network of `keras_fcn.build_fcn`.
        directory: The folder to write to.
        size: Height and width of all images; any if not given.
        calibration: Photographs to quantize by, for `int8`.
        int8: Whether to quantize.

    Returns:
        The file, and what was compared. It appears under its name only when it is complete and compared.

    Raises:
        UserError: If a package is missing, the folder cannot be written to, or the file does not do what the model
            does.
    """
    from export.formats.report import verify_file
    from export.graph.class_graph import class_graph
    from keras_fcn.inference.predictor import Predictor
    from keras_fcn.network.parts import class_table

    require_installed(form, int8)
    directory, images = Path(directory), calibration.images if calibration and int8 else None
    with _folder_in(directory) as folder:
        with _quiet():
            form.write(class_graph(model, size, form.classes_first), folder / form.files[-1], model, images)
        photographs = list(itertools.islice(calibration.images(), 3)) if calibration else []
        segment = form.load(folder / form.files[-1])
        comparisons = verify_file(form.files[-1], segment, Predictor(model), size, photographs, not int8)
        write_json(folder / LABELS, class_table(model).to_dict())
        # An old file must not be opened with new weights: it goes first, and the new one comes last.
        (directory / form.files[-1]).unlink(missing_ok=True)
        for name in (LABELS, *form.files):
            (folder / name).replace(directory / name)
    return directory / form.files[-1], comparisons


@contextlib.contextmanager
def _folder_in(directory: Path) -> Iterator[Path]:
    """Gives a temporary folder in another, which is made, and removed if nothing came into it."""
    existed = directory.exists()
    try:
        with written(directory):
            directory.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".export.", dir=directory) as folder:
                yield Path(folder)
    finally:
        if not existed:
            with contextlib.suppress(OSError):
                directory.rmdir()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Holds back what converters tell of their work."""
    logging.disable(logging.WARNING)
    try:
        with stderr_unless_it_fails(), contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


def export_as(form: Format, arguments: list[str]) -> None:
    """Does what the command line of a format says, and says what was compared, how large the file is and how fast."""
    options = parse_options(FormatOptions, arguments)
    require_installed(form, options.int8)
    start_tensorflow()
    from export.formats.calibration import Calibration
    from export.verification import format_comparisons
    from keras_fcn.inference.models import find_model, load_model
    from keras_fcn.network.parts import class_table

    model = load_model(find_model(options.model))
    calibration = None
    if options.calibrate is not None:
        calibration = Calibration.read(options.calibrate, class_table(model), options.photographs, options.size)
    path, comparisons = export_format(form, model, options.directory, options.size, calibration, options.int8)
    print(format_comparisons(comparisons))
    print()
    print(_report(form, path, model, options, calibration))
    print(f"{path}: it gives the live model's classes, to the differences above; what they mean is in {LABELS}")


def _report(form: Format, path: Path, model: keras.Model, options: FormatOptions, calibration) -> str:
    """Returns the table of the SavedModel's function and the file: size, time, mean IoU."""
    import tensorflow as tf

    from export.formats.report import Program, format_programs
    from export.graph.signatures import Metadata, build_signatures
    from keras_fcn.inference.models import SIGNATURE
    from keras_fcn.network.parts import class_table

    metadata = Metadata(model.name, 1, class_table(model), 1)
    signature = build_signatures(model, metadata)[SIGNATURE]
    programs = []
    for name, segment, files in (
        ("SavedModel", lambda images: signature(tf.convert_to_tensor(images))["classes"], ()),
        (f"{path.name}{', int8' if options.int8 else ''}", form.load(path), form.files),
    ):
        megabytes = sum((path.parent / file).stat().st_size for file in files) / 1e6 if files else None
        iou = calibration.mean_iou(segment) if calibration else None
        programs.append(Program(name, segment, megabytes, iou))
    return format_programs(programs, options.size)
