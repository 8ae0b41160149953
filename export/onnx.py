"""Exports a trained network as ONNX: `python -m export.onnx --help` lists the options."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

if not __package__:  # started by its path, this folder would shadow packages of the same names
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from tyro.conf import arg

from export.formats.conversion import EXACT_CONVOLUTIONS, Format, FormatOptions, export_as
from export.formats.deepness import TILE, deepness_format
from keras_fcn.errors import UserError, argument
from keras_fcn.system.command_line import parse_options, run_command
from keras_fcn.system.options import POSITIVE, number

if TYPE_CHECKING:
    import keras

OPSET = 18
"""Version of the operators: ONNX 1.13 of December 2022, ONNX Runtime 1.14."""


@dataclasses.dataclass(frozen=True)
class OnnxOptions(FormatOptions):
    """Exports a trained network as an ONNX file from uint8 images [N, H, W, 3], RGB, to uint8 classes [N, H, W].

    The file includes normalization, padding, cropping and argmax. The class table is written beside it as labels.json.
    The file is run and compared with the live model before it is kept.
    """

    deepness: Annotated[float | None, POSITIVE, number("CM"), arg(help_behavior_hint="")] = None
    """Write the file for the QGIS plugin Deepness, for layers of so many centimetres per pixel: from tiles to
    probabilities. --size is then that of the tiles, 1024 1024 if not given."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.deepness is None:
            return
        if self.output != "ids":
            raise UserError(f"{argument('deepness')} says what the file gives; leave out {argument('output')}")
        if self.int8:
            raise UserError(f"{argument('deepness')} writes float32; leave out {argument('int8')}")
        if self.size is not None and self.size[0] != self.size[1]:
            received = f"{self.size[0]} {self.size[1]}"
            raise UserError(f"{argument('deepness')} takes square tiles: {argument('size')} {received} is none")


def write(graph: Any, path: Path, network: keras.Model, images: Callable[[], Iterable[np.ndarray]] | None) -> None:
    """Writes the function of `class_graph` as an ONNX file, with what it says of the network as metadata.

    Args:
        graph: The function.
        path: The file.
        network: The network, whose name and classes are written to the file.
        images: Yields images uint8 [1, H, W, 3] to calibrate int8 with; float32 if not given.
    """
    import onnx
    import tf2onnx

    from export.formats.graph.softmax import hasten_softmax
    from keras_fcn.inference.engines.keras_model import facts_of

    converted, _ = tf2onnx.convert.from_function(graph, graph.input_signature, opset=OPSET)
    hasten_softmax(converted)
    onnx.save(converted, path)
    if images is not None:
        _quantize(path, images())
    model = onnx.load(path)
    onnx.helper.set_model_props(model, facts_of(network).to_texts())
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _quantize(path: Path, images: Iterable[np.ndarray]) -> None:
    """Quantizes a file in place: activations and weights to 8 bits, weights with a scale per channel.

    The first convolutions stay in float32, as all others would inherit their error, and so do probabilities.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.images: Iterator[np.ndarray] = iter(images)

        def get_next(self) -> dict[str, np.ndarray] | None:
            image = next(self.images, None)
            return None if image is None else {"images": image}

    prepared = path.with_name("prepared.onnx")
    quant_pre_process(path, prepared, skip_symbolic_shape=True)
    nodes = onnx.load(prepared).graph.node
    last = [node for node in nodes if node.op_type == "Conv"][:EXACT_CONVOLUTIONS][-1]
    # All that comes before, too: an image that is scaled and shifted in 8 bits takes a third of the time of a network.
    exact = [node.name for node in nodes[: list(nodes).index(last) + 1]]
    exact += [node.name for node in nodes if node.op_type == "Softmax"]
    kinds = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8}
    quantize_static(
        prepared, path, Reader(), quant_format=QuantFormat.QDQ, per_channel=True,
        nodes_to_exclude=exact, extra_options={"CalibMovingAverage": True}, **kinds,
    )  # fmt: skip
    prepared.unlink()


ONNX = Format("ONNX", ("model.onnx",), ("onnx", "tf2onnx", "onnxruntime"), (), True, write)


def main() -> None:
    """Exports and prints the comparisons."""
    options = parse_options(OnnxOptions, sys.argv[1:])
    if options.deepness is None:
        export_as(ONNX, options)
    else:
        size = options.size or (TILE, TILE)
        export_as(deepness_format(options.deepness, OPSET), dataclasses.replace(options, size=size))


if __name__ == "__main__":
    run_command(main)
