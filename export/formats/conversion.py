"""Conversion to ONNX, LiteRT and OpenVINO: options, writing a file, checks, comparison."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import itertools
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import tyro

from keras_fcn.errors import UserError, argument
from keras_fcn.inference.options import ThresholdOption
from keras_fcn.runs.names import ExportedName
from keras_fcn.system.files import require_writable, temporary_folder, write_json, written
from keras_fcn.system.options import AT_LEAST_1, SIZE, Options
from keras_fcn.system.packages import require_packages
from keras_fcn.system.startup import start_tensorflow, stderr_unless_it_fails

if TYPE_CHECKING:
    import keras

    from export.formats.calibration import Calibration
    from export.formats.verification import Comparison
    from keras_fcn.images.classes import ClassTable
    from keras_fcn.inference.predictor import Predictor

LABELS = "labels.json"
"""The class table beside the file."""

EXACT_CONVOLUTIONS = 3
"""Number of first convolutions in float32 in an int8 file."""


@dataclasses.dataclass(frozen=True)
class Other:
    """Another program that is to compute the same of a format's files.

    Attributes:
        name: The program's name.
        open: Opens a file; returns None if the program does not take files of that kind.
    """

    name: str
    open: Callable[[Path], Predictor | None]


@dataclasses.dataclass(frozen=True)
class Format:
    """A file format, with the functions that write and run it.

    Attributes:
        name: Name of the format.
        files: Names of its files; the last is the one to open.
        modules: Packages needed to write and to check it.
        int8_modules: Packages needed to quantize.
        classes_first: The argument of `class_graph`.
        write: Writes the function of `class_graph` to a path, with the name and the classes of a network; quantized, if
            the last argument is given, which yields images uint8 [1, H, W, 3] for calibration.
        graph: Returns the function to write of a network and the images' size, instead of `class_graph`.
        load: Returns the function of a file, from images uint8 [N, H, W, 3] to class ids uint8 [N, H, W], where it is
            none that `open_engine` opens.
        other: Another program of the format's files.
    """

    name: str
    files: tuple[str, ...]
    modules: tuple[str, ...]
    int8_modules: tuple[str, ...]
    classes_first: bool
    write: Callable[[Any, Path, keras.Model, Callable[[], Iterable[np.ndarray]] | None], None]
    graph: Callable[[keras.Model, tuple[int, int] | None], Any] | None = None
    load: Callable[[Path], Callable[[np.ndarray], np.ndarray]] | None = None
    other: Other | None = None

    def open(self, path: Path, classes: ClassTable) -> Predictor:
        """Opens one of its files."""
        from keras_fcn.inference.predictor import Predictor

        return Predictor(path, precision="float32") if self.load is None else Predictor(self.load(path), classes)


@dataclasses.dataclass(frozen=True)
class FormatOptions(Options):
    """Exports a trained network as a file from uint8 images [N, H, W, 3], RGB, to uint8 classes [N, H, W].

    The file includes normalization, padding, cropping and argmax, and the class table, which is written beside it as
    labels.json, too. The file is run and compared with the live model before it is kept; predict.py and evaluate.py
    take it as they take a run.
    """

    model: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """A run folder (its best model is taken) or a .keras file."""

    directory: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DIR")]
    """The folder to write to; files of an earlier export are replaced."""

    size: Annotated[tuple[int, int] | None, SIZE, tyro.conf.arg(metavar="H W", help_behavior_hint="")] = None
    """Height and width of all images; any size if not given."""

    batch: Annotated[int | None, AT_LEAST_1, tyro.conf.arg(help_behavior_hint="")] = None
    """With --size, the number of images in a call; any number if not given. Programs that allocate all memory before
    they run take no other files: LiteRT's CompiledModel, LiteRT.js, compilers for accelerators."""

    output: ExportedName = "ids"
    """What the file gives: class ids; probabilities, float32 [N, H, W, C], which flips, scales, tiles and confidence
    take; or both."""

    int8: bool = False
    """Quantize to 8-bit integers, with ranges from images of --calibrate."""

    calibrate: Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="")] = None
    """A data set with the model's classes: split train calibrates int8, split val gives the mean IoU."""

    threshold: ThresholdOption = ()
    """The thresholds of the export instead of those that are kept in the model: crack=0.3; or none."""

    photographs: Annotated[int, AT_LEAST_1] = 100
    """Number of images to calibrate int8 with."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch is not None and self.size is None:
            names = f"{argument('batch', self.batch)} needs {argument('size')}"
            raise UserError(f"{names} H W: where the number of images is fixed, their size is, too")
        if self.int8 and self.calibrate is None:
            names = f"{argument('int8')} needs {argument('calibrate')}"
            raise UserError(f"{names} DIR, a data set with images to calibrate it")


def require_installed(form: Format, int8: bool) -> None:
    """Raises UserError if a package that a format needs is missing."""
    require_packages(form.name, "formats", *form.modules, *(form.int8_modules if int8 else ()))


def export_format(
    form: Format,
    model: keras.Model,
    directory: str | Path,
    size: tuple[int, int] | None = None,
    calibration: Calibration | None = None,
    int8: bool = False,
    output: ExportedName = "ids",
    batch: int | None = None,
) -> tuple[Path, list[Comparison]]:
    """Writes a model in another format and compares it with the live one.

    Args:
        form: The format.
        model: A network of `keras_fcn.build_fcn`.
        directory: The folder to write to.
        size: Height and width of all images; any size if not given.
        calibration: Images to calibrate with, for `int8`.
        int8: Whether to quantize.
        output: What the file gives.
        batch: Number of images in a call, with `size`; any number if not given.

    Returns:
        The file, and the comparisons. The file is written atomically, after it was compared.

    Raises:
        UserError: If a package is missing, the folder cannot be written to, or the file's classes differ from the
            model's.
    """
    from export.formats.graph.class_graph import class_graph
    from export.formats.report import verify_file
    from keras_fcn.inference.models import labels_of
    from keras_fcn.inference.predictor import Predictor

    require_installed(form, int8)
    directory, images = Path(directory), None
    if calibration is not None and int8:
        calibrating = calibration.images

        def images() -> Iterator[np.ndarray]:
            return (np.repeat(image, batch or 1, axis=0) for image in calibrating())

    with _folder_in(directory) as folder:
        with quiet():
            if form.graph is None:
                graph = class_graph(model, size, form.classes_first, output, batch)
            else:
                graph = form.graph(model, size)
            form.write(graph, folder / form.files[-1], model, images)
        samples = list(itertools.islice(calibration.images(), 3)) if calibration else []
        live, written_file = Predictor(model, precision="float32"), folder / form.files[-1]
        comparisons = verify_file(form.files[-1], form.open(written_file, live.classes), live, size, samples, not int8)
        if form.other is not None and (other := form.other.open(written_file)) is not None:
            name = f"{form.files[-1]} by {form.other.name}"
            comparisons += verify_file(name, other, live, size, samples, not int8)
        write_json(folder / LABELS, labels_of(model))
        replace_together((LABELS, *form.files), folder, directory)
    return directory / form.files[-1], comparisons


def replace_together(names: Sequence[str], folder: Path, directory: Path) -> None:
    """Moves files from a folder into another; if one cannot be moved, the other is as it was before.

    Args:
        names: The files. The last one is what is opened: never beside others that it does not belong to.
        folder: Where they are.
        directory: Where they replace those of these names.

    Raises:
        OSError: If one cannot be moved.
    """
    kept = Path(tempfile.mkdtemp(dir=folder))
    old = [name for name in reversed(names) if (directory / name).exists()]
    try:
        for name in old:
            (directory / name).replace(kept / name)
        for name in names:
            (folder / name).replace(directory / name)
    except OSError:
        with contextlib.suppress(OSError):
            for name in reversed(names):
                if name not in old and not (folder / name).exists():
                    (directory / name).unlink()
            for name in reversed(old):
                if (kept / name).exists():
                    (kept / name).replace(directory / name)
        raise


@contextlib.contextmanager
def _folder_in(directory: Path) -> Iterator[Path]:
    """Yields a temporary folder in another, which is created, and removed if it stays empty."""
    existed = directory.exists()
    try:
        with written(directory), temporary_folder(directory / "export") as folder:
            yield folder
    finally:
        if not existed:
            with contextlib.suppress(OSError):
                directory.rmdir()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Holds back the log output of converters, and the usage data that OpenVINO and NNCF would send.

    They send it wherever nobody has declined, in a forked process, but for continuous integration: CI says it is that.
    """
    logging.disable(logging.WARNING)
    before = os.environ.get("CI")
    os.environ["CI"] = "true"
    try:
        with stderr_unless_it_fails(), contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
        if before is None:
            del os.environ["CI"]
        else:
            os.environ["CI"] = before


def export_as(form: Format, options: FormatOptions) -> None:
    """Exports as a command line's options say, and prints the comparisons, the file's size and its speed."""
    require_installed(form, options.int8)
    require_writable(options.directory, is_folder=True)
    start_tensorflow(whole=False)
    from export.formats.calibration import Calibration
    from export.formats.verification import format_comparisons
    from keras_fcn.inference.engines.opening import find_model
    from keras_fcn.inference.models import load_model, with_thresholds
    from keras_fcn.network.parts import Parts, class_table
    from keras_fcn.runs.config_files import run_classes

    model = with_thresholds(load_model(find_model(options.model)), options.threshold)
    calibration = None
    if options.calibrate is not None:
        wanted = run_classes(options.model) | {"channels": Parts(model).channels.text}
        calibration = Calibration.read(options.calibrate, class_table(model), options.photographs, options.size, wanted)
        print("".join(f"{line}\n" for line in calibration.remarks), end="", file=sys.stderr)
    path, comparisons = export_format(
        form, model, options.directory, options.size, calibration, options.int8, options.output, options.batch
    )
    print(format_comparisons(comparisons))
    print()
    print(_report(form, path, model, options, calibration))
    print(f"{path}: returns the live model's classes, to the differences above; their names are in {LABELS}")


def _report(form: Format, path: Path, model: keras.Model, options: FormatOptions, calibration) -> str:
    """Returns a table of size, time and mean IoU of the file and of the SavedModel's function."""
    import tensorflow as tf

    from export.formats.file_limits import FileLimits
    from export.formats.graph.signatures import Metadata, build_signatures
    from export.formats.report import Program, format_programs
    from keras_fcn.inference.graphs import decision_of
    from keras_fcn.inference.models import SIGNATURE
    from keras_fcn.network.parts import Parts, class_table

    metadata = Metadata(model.name, 1, class_table(model), FileLimits(1), decision_of(model))
    signatures = build_signatures(model, metadata)  # which keeps the variables
    programs = []
    for name, segment, files in (
        ("SavedModel", lambda images: signatures.functions[SIGNATURE](tf.convert_to_tensor(images))["classes"], ()),
        (f"{path.name}{', int8' if options.int8 else ''}", form.open(path, class_table(model)).segment, form.files),
    ):
        megabytes = sum((path.parent / file).stat().st_size for file in files) / 1e6 if files else None
        iou = calibration.mean_iou(segment) if calibration else None
        programs.append(Program(name, segment, megabytes, iou))
    return format_programs(programs, options.size, Parts(model).channels.count)
