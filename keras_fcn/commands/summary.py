"""Summarizes a network: `python -m keras_fcn.summary --help` explains the options."""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from keras_fcn.runs.names import BackboneName, ContextName, ModelName, OutputStride
from keras_fcn.system.command_line import parse_options
from keras_fcn.system.files import write_json
from keras_fcn.system.options import AT_LEAST_1, Options, Range, within
from keras_fcn.system.startup import start_tensorflow
from keras_fcn.system.text import table

if TYPE_CHECKING:
    from keras_fcn.network.cost.complexity import Feature, LayerCost, Summary

_LARGEST_SIDE = 100_000
_SIZE = Range(
    lambda size: min(size) >= 1 and max(size) <= _LARGEST_SIDE,
    f"takes a height and a width of 1 to {_LARGEST_SIDE}",
)


@dataclasses.dataclass(frozen=True)
class SummaryOptions(Options):
    """Summarizes a network: layers, parameters, multiply-accumulates, memory, receptive fields.

    All of it is computed from shapes; nothing is trained or run.
    """

    model: ModelName = "fcn8s"
    """The network."""

    backbone: Annotated[BackboneName, arg(metavar="NAME")] = "resnet18_v2"
    """The network below the head, which computes the features."""

    output_stride: OutputStride = 32
    """The backbone's greatest stride; with 16 or 8, convolutions are dilated instead."""

    context: ContextName = "none"
    """Scores of more of the image, which are added to those of every position."""

    size: Annotated[tuple[int, int], _SIZE, arg(metavar="H W")] = (320, 480)
    """Height and width of the image in pixels."""

    num_classes: Annotated[int, within(1, 255), arg(metavar="N")] = 21
    """Classes, background included."""

    batch_size: Annotated[int, AT_LEAST_1, arg(metavar="N")] = 8
    """Images per training step, for the memory of training."""

    layers: bool = False
    """Show every layer of the backbone instead of its stages."""

    json: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")] = None
    """A JSON file to write the summary of every layer to; an existing one is replaced."""


def main() -> None:
    """Builds the network, prints its summary, and writes it as JSON if --json is given."""
    options = parse_options(SummaryOptions, sys.argv[1:])
    start_tensorflow(whole=False)
    from keras_fcn.network.cost.complexity import summarize
    from keras_fcn.network.fcn import build_fcn

    network = build_fcn(
        options.model,
        options.backbone,
        options.num_classes,
        output_stride=options.output_stride,
        context=options.context,
    )
    summary = summarize(network, options.size, options.batch_size)
    if options.json is not None:
        write_json(options.json, summary.to_dict())
    print(format_summary(summary, options.layers))


def format_summary(summary: Summary, every_layer: bool = False) -> str:
    """Returns a summary as tables in plain text.

    Args:
        summary: The result of `summarize`.
        every_layer: Whether to list every layer of nested models, instead of their stages.
    """
    height, width = summary.size
    rows = _layer_rows(summary.layers, every_layer)
    parameters = summary.trainable_parameters + summary.other_parameters
    lines = [
        f"{summary.name}, one image of {height}x{width} pixels (height x width)",
        "",
        table(("layer", "kind", "output", "parameters", "million MACs"), rows, "<<>>>"),
        "",
        f"Parameters: {parameters:,}; {summary.trainable_parameters:,} trainable, {summary.other_parameters:,} not",
        f"Multiply-accumulates (MACs) of convolutions and dense layers: {summary.macs / 1e9:.2f} x 10^9",
        f"Memory of the weights: {_megabytes(summary.weight_bytes)} in float32",
        f"Memory of tensors in inference: {_megabytes(summary.peak_bytes)} at most, while {summary.peak_layer} runs",
        f"Memory of tensors kept for the gradients: {_megabytes(summary.kept_bytes)}, batch of {summary.batch_size}",
        "(each layer writes a new tensor, freed after its last use; MB are 10^6 bytes)",
        "",
        table(("feature", "stride", "size", "channels", "receptive field"), _features(summary)),
    ]
    return "\n".join(lines)


def _layer_rows(layers: list[LayerCost], every_layer: bool) -> Iterator[tuple[str, ...]]:
    """Yields a row per layer, after one for each nested model, whose layers are joined to stages."""
    start = 0
    opened: tuple[str, ...] = ()
    while start < len(layers):
        path = layers[start].path
        for depth in range(1, len(path) + 1):
            if path[:depth] != opened[:depth]:
                yield _row(depth - 1, path[depth - 1], [one for one in layers if one.path[:depth] == path[:depth]])
        opened = path
        end = start + 1 if every_layer or not path else _end_of_stage(layers, start)
        yield _row(len(path), _stage(layers[start].name), layers[start:end])
        start = end


def _row(depth: int, name: str, group: list[LayerCost]) -> tuple[str, ...]:
    last, several = group[-1], len(group) > 1
    return (
        "  " * depth + (name if several else last.name),
        f"{len(group)} layers" if several else last.kind,
        "x".join(map(str, last.shape)),
        f"{sum(layer.parameters for layer in group):,}",
        f"{sum(layer.macs for layer in group) / 1e6:,.1f}",
    )


def _end_of_stage(layers: list[LayerCost], start: int) -> int:
    """Returns the index after a stage's last layer; layers between belong to it, whatever their names."""
    path, stage = layers[start].path, _stage(layers[start].name)
    return 1 + max(n for n, one in enumerate(layers) if n >= start and (one.path, _stage(one.name)) == (path, stage))


def _stage(name: str) -> str:
    """Returns the beginning of a layer's name up to its first number: "conv4" of "conv4_block23_preact_relu"."""
    numbered = re.match(r"(.*?\d+)[a-z]?(?=_|$)", name)
    return numbered[1] if numbered else name.split("_")[0]


def _features(summary: Summary) -> Iterator[tuple[str, ...]]:
    for name, feature in summary.features.items():
        *size, channels = map(str, feature.shape)
        stride = feature.stride[0] if len(set(feature.stride)) == 1 else "x".join(feature.stride)
        yield name, stride, "x".join(size) or "-", channels, _seen(feature)


def _seen(feature: Feature) -> str:
    if feature.receptive_field is None:
        return "whole image"
    height, width = feature.receptive_field
    return f"{height}x{width} pixels"


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"
