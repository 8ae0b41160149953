"""Writes a static folder that runs a network in browsers: `python -m export.web --help` lists the options."""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import tyro

from export.formats.conversion import export_format, require_installed
from export.onnx import ONNX
from export.web.engine import PACKAGE, TRIED, read_engine
from export.web.network import read_network
from export.web.site import site_files, write_site, written_before
from keras_fcn.errors import UserError, argument
from keras_fcn.inference.engines.opening import find_model
from keras_fcn.inference.options import ThresholdOption
from keras_fcn.system.command_line import parse_options, run_command
from keras_fcn.system.files import require_writable
from keras_fcn.system.options import Options
from keras_fcn.system.startup import start_tensorflow


@dataclasses.dataclass(frozen=True)
class WebOptions(Options):
    """Writes a static folder with a page that segments photos by a trained network on its visitor's own device.

    The folder needs no server but one for files, and works under any address and, once it was loaded, without a
    network. No photo leaves the device. The network is computed by onnxruntime-web, whose files are copied from an
    installed npm package: on the graphics card where the browser has WebGPU, else on the processor.
    """

    model: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """A run folder (its best model is taken), a .keras file, or an .onnx file of python -m export.onnx."""

    directory: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DIR")]
    """The folder to write; one that this command wrote before is brought up to date, other files in it stay."""

    engine_files: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """The folder of the npm package onnxruntime-web, such as node_modules/onnxruntime-web."""

    threshold: ThresholdOption = ()
    """The thresholds of the export instead of those that are kept in the model: crack=0.3; or none."""


def main() -> None:
    """Exports, and prints what the folder holds."""
    options = parse_options(WebOptions, sys.argv[1:])
    engine = read_engine(options.engine_files)
    written_before(options.directory)
    require_writable(options.directory, is_folder=True)
    path = find_model(options.model)
    require_installed(ONNX, int8=False)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        if path.suffix.lower() != ".onnx":
            path = _exported(path, Path(folder), options.threshold)
        elif options.threshold:
            raise UserError(f"{path}: is exported already; give {argument('threshold')} with its run")
        network = read_network(path)
    files = site_files(network, engine)
    write_site(options.directory, files)
    if engine.version != TRIED:
        print(f"{PACKAGE} {engine.version} is not the version that was tried, {TRIED}", file=sys.stderr)
    if network.is_int8:
        print(
            f"{options.model}: computes in 8-bit integers: in browsers, depthwise convolutions take 4 to 5 times as "
            "long as in float32, others less than half as long",
            file=sys.stderr,
        )
    _print_sizes(options.directory, files, engine.version)


def _exported(path: Path, folder: Path, threshold: tuple[str, ...]) -> Path:
    """Exports a network as an ONNX file into a folder."""
    start_tensorflow(whole=False)
    from export.formats.verification import format_comparisons
    from keras_fcn.inference.models import load_model, with_thresholds

    exported, comparisons = export_format(ONNX, with_thresholds(load_model(path), threshold), folder)
    print(format_comparisons(comparisons))
    return exported


def _print_sizes(directory: Path, files: dict[str, bytes], version: str) -> None:
    megabytes = {
        kind: sum(len(content) for path, content in files.items() if path.startswith(start)) / 1e6
        for kind, start in (("model", "model."), ("wasm", "engine/wasm."), ("webgpu", "engine/webgpu."))
    }
    print(
        f"{directory}: {sum(map(len, files.values())) / 1e6:.1f} MB; a visitor loads the network, "
        f"{megabytes['model']:.1f} MB, and {PACKAGE} {version}: {megabytes['wasm']:.1f} MB for processors or "
        f"{megabytes['webgpu']:.1f} MB for graphics cards"
    )
    print(f"Try it: python -m http.server --directory {directory}     (then open http://localhost:8000)")


if __name__ == "__main__":
    run_command(main)
