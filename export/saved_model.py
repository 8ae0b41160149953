"""Exports a trained network as a SavedModel: `python -m export.saved_model --help` lists the options."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from export.formats.file_limits import MAX_PIXELS, FileLimits
from keras_fcn.errors import UserError
from keras_fcn.images.headers.effort import MOST_SCANS, MOST_TEXTS
from keras_fcn.inference.options import ThresholdOption
from keras_fcn.runs.lock import locked
from keras_fcn.system.command_line import parse_options, run_command
from keras_fcn.system.files import require_writable
from keras_fcn.system.options import AT_LEAST_1, NOT_NEGATIVE, Options, Range
from keras_fcn.system.startup import start_tensorflow

if TYPE_CHECKING:
    import keras

    from export.formats.verification import Comparison

LEAST_MAX_PIXELS = 10_000
"""The lowest limit; the files that an export is compared on are smaller."""

_ENOUGH_PIXELS = Range(lambda pixels: pixels >= LEAST_MAX_PIXELS, f"must be at least {LEAST_MAX_PIXELS}")


@dataclasses.dataclass(frozen=True)
class ExportOptions(Options):
    """Exports a trained network as a SavedModel in DIR/1, or in the next free number.

    Its signature `serving_default` takes JPEG and PNG files of any sizes and returns masks as PNG files of class ids
    and the fraction of pixels of each class; `images` takes uint8 images [N, H, W, 3] and returns uint8 classes
    [N, H, W], `probabilities` returns float32 probabilities [N, H, W, C] for them, and `metadata` returns class names,
    colours and limits. Of images of other than three channels, there is no `serving_default`. The SavedModel is loaded
    and compared with the live model before it is kept.
    """

    model: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """A run folder (its best model is taken) or a .keras file."""

    directory: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DIR")]
    """The folder of all versions of this model, in TensorFlow Serving's layout."""

    max_pixels: Annotated[int, _ENOUGH_PIXELS] = MAX_PIXELS
    """The limit of height times width of an image file; larger ones are rejected before they are decoded."""

    max_scans: Annotated[int, AT_LEAST_1] = MOST_SCANS
    """The limit of scans of a JPEG, each of which goes over all pixels; a progressive one has about 10."""

    max_texts: Annotated[int, NOT_NEGATIVE] = MOST_TEXTS
    """The limit of compressed texts of a PNG, each of which may take a tenth of a second; most have none."""

    threshold: ThresholdOption = ()
    """The thresholds of the export instead of those that are kept in the model: crack=0.3; or none."""


def export_saved_model(
    model: keras.Model,
    directory: str | Path,
    max_pixels: int = MAX_PIXELS,
    max_scans: int = MOST_SCANS,
    max_texts: int = MOST_TEXTS,
) -> tuple[Path, list[Comparison]]:
    """Writes a model as a SavedModel and compares it with the live one.

    Args:
        model: A network of `keras_fcn.build_fcn`.
        directory: The folder of all versions; the new version takes the next free number, from 1.
        max_pixels: The limit of height times width of an image file.
        max_scans: The limit of scans of a JPEG.
        max_texts: The limit of compressed texts of a PNG.

    Returns:
        The folder of the new version, and the comparisons. The folder is written atomically, after it was compared.

    Raises:
        UserError: If the folder cannot be written to, another process exports to it, or the export's results differ
            from the model's.
    """
    directory = Path(directory)
    _versions(directory)
    with locked(directory / ".lock", f"is exporting to {directory}; start this again when it has ended"):
        return _export(model, directory, (max_pixels, max_scans, max_texts))


def _export(model: keras.Model, directory: Path, limits: tuple[int, int, int]) -> tuple[Path, list[Comparison]]:
    import tensorflow as tf

    from export.formats.graph.signatures import Metadata, build_signatures
    from export.formats.graph.warmup import write_warmup
    from export.formats.verification import verify
    from keras_fcn.inference.graphs import decision_of
    from keras_fcn.inference.models import LABELS_FILE, fingerprint_of, labels_of
    from keras_fcn.inference.predictor import Predictor
    from keras_fcn.network.parts import Parts, class_table
    from keras_fcn.system.files import new_folder, without_wildcards, write_json, written
    from keras_fcn.system.text import reason_of

    number = 1 + max((int(path.name) for path in _versions(directory)), default=0)
    metadata = Metadata(model.name, number, class_table(model), FileLimits(*limits), decision_of(model))
    version = directory / str(number)
    with written(version), new_folder(version) as folder:
        module, signatures = tf.Module(), build_signatures(model, metadata)
        module.weights = signatures.variables
        # It is not trained further, and holds weights that no gradients are known of.
        options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
        try:
            with without_wildcards(folder) as plain:
                tf.saved_model.save(module, str(plain), signatures.functions, options=options)
            write_json(folder / LABELS_FILE, {**labels_of(model), "network": fingerprint_of(model)})
            write_warmup(folder, Parts(model).channels.count)
        except tf.errors.OpError as error:  # TensorFlow's own writing raises no OSError
            reason = f"{version}: cannot be written ({reason_of(error)})"
            raise UserError(f"{reason}; free disk space, or choose a path that you may write to") from None
        comparisons = verify(folder, Predictor(model, precision="float32"), metadata)
    return version, comparisons


def _versions(directory: Path) -> list[Path]:
    if directory.exists() and not directory.is_dir():
        raise UserError(f"{directory}: is a file; give a folder to export to")
    return [path for path in directory.glob("*") if path.name.isdigit()]


def main() -> None:
    """Exports, and prints the folder and the comparisons."""
    options = parse_options(ExportOptions, sys.argv[1:])
    require_writable(options.directory, is_folder=True)
    start_tensorflow(whole=False)
    from export.formats.verification import format_comparisons
    from keras_fcn.inference.engines.opening import find_model
    from keras_fcn.inference.models import load_model, with_thresholds
    from keras_fcn.network.parts import Parts

    model = with_thresholds(load_model(find_model(options.model)), options.threshold)
    limits = options.max_pixels, options.max_scans, options.max_texts
    version, comparisons = export_saved_model(model, options.directory, *limits)
    megabytes = sum(file.stat().st_size for file in version.rglob("*") if file.is_file()) / 1e6
    print(format_comparisons(comparisons))
    print(f"{version}: {megabytes:.1f} MB; the same as the live model, to the differences above")
    print(
        f"Try it: saved_model_cli run --dir {version} --tag_set serve --signature_def images "
        f"--inputs images=FILE.npy     (of uint8 [N, H, W, {Parts(model).channels.count}])"
    )


def console() -> None:
    """Runs the export as the console script `keras-fcn-export`."""
    run_command(main)


if __name__ == "__main__":
    console()
