"""Times our training step and other programs' in turn: `python benchmarks/train_step.py --yardstick NAME COMMAND`.

Each round starts every program once, in its own process, ours too, so that a change of the machine's load affects all
of them. A yardstick is any command that prints, as its last line, a JSON object with "seconds", the median of its
training steps, for example `--yardstick PyTorch "torch-env/bin/python torch_fcn.py train --batch 8"`.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Annotated

import tyro
from common.yardsticks import report, run_in_turn, write_results

from keras_fcn.runs.names import BACKBONES, BackboneName, ModelName, OptimizerName, PrecisionName, SwitchName
from keras_fcn.system.command_line import parse_options, run_command
from keras_fcn.system.startup import start_tensorflow


@dataclasses.dataclass(frozen=True)
class BenchmarkOptions:
    """Times our training step and other programs' in turn."""

    model: ModelName = "fcn32s"
    """The network."""

    backbone: BackboneName = "resnet18_v2"
    """The backbone."""

    num_classes: int = 21
    """Classes, background included."""

    batch_size: int = 8
    """Images per step."""

    crop_size: tuple[int, int] = (320, 480)
    """Height and width of the images."""

    optimizer: OptimizerName = "sgd"
    """As in train.py, with its defaults."""

    precision: PrecisionName = "auto"
    """As in train.py: bfloat16 on GPUs and processors that are faster in it."""

    xla: SwitchName = "auto"
    """As in a long run of train.py: on a single GPU."""

    steps: int = 6
    """Timed steps of each process, after two warm-up steps; the median counts."""

    rounds: int = 5
    """Number of times that each program is started; medians are printed."""

    yardstick: Annotated[
        tyro.conf.UseAppendAction[tuple[tuple[str, str], ...]], tyro.conf.arg(metavar="NAME COMMAND")
    ] = ()
    """A program to compare with, and its command; may be given several times."""

    only_ours: bool = False
    """Time our step once, in this process, and print what a yardstick prints."""

    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """The JSON file to write the results to."""


def our_seconds(options: BenchmarkOptions) -> dict:
    """Returns the median seconds of our step, built as in train.py, on random images in memory."""
    start_tensorflow()
    import keras
    import tensorflow as tf

    from keras_fcn.network.fcn import build_fcn
    from keras_fcn.runs.config import OptimizerOptions
    from keras_fcn.training.distributed.devices import (
        XLA_STEPS,
        build_strategy,
        describe_devices,
        distribute,
        layer_precision,
        uses_bfloat16,
        uses_xla,
    )
    from keras_fcn.training.losses import SegmentationLoss
    from keras_fcn.training.step.batch_norm import prepare_batch_norms
    from keras_fcn.training.step.optimizers import build_parameter_groups
    from keras_fcn.training.step.step import TrainingStep

    keras.utils.set_random_seed(0)
    strategy = build_strategy("auto", options.batch_size)
    bfloat16, xla = (
        uses_bfloat16(options.precision, BACKBONES[options.backbone].depthwise),
        uses_xla(options.xla, strategy, XLA_STEPS),
    )
    with strategy.scope(), layer_precision(bfloat16):
        model = build_fcn(options.model, options.backbone, options.num_classes)
        prepare_batch_norms(model, strategy.num_replicas_in_sync)
        groups = build_parameter_groups(OptimizerOptions(options.optimizer), model, 8, 1000)
        make_step = TrainingStep(strategy, model, groups, SegmentationLoss(), xla=xla)
    shape = (options.batch_size, *options.crop_size)
    images = tf.cast(tf.random.uniform((*shape, 3), 0, 256, tf.int32), tf.uint8)
    labels = tf.cast(tf.random.uniform(shape, 0, options.num_classes, tf.int32), tf.uint8)
    batches = distribute(tf.data.Dataset.from_tensors((images, labels)).repeat(), strategy)
    seconds = []
    for _ in range(options.steps + 2):
        started = time.perf_counter()
        make_step([next(batches)], False)
        make_step.loss_sum.numpy()
        seconds.append(time.perf_counter() - started)
    version = f"tensorflow {tf.__version__}, keras {keras.__version__}, {describe_devices(strategy)}"
    version += (", bfloat16" if bfloat16 else ", float32") + (", XLA" if xla else "")
    return {"framework": version, "seconds": statistics.median(seconds[2:])}


def main() -> None:
    """Starts all programs in turn and prints a table."""
    options = parse_options(BenchmarkOptions, sys.argv[1:])
    if options.only_ours:
        print(json.dumps(our_seconds(options)))
        return
    results, loads = run_in_turn([sys.executable, *sys.argv, "--only-ours"], options.yardstick, options.rounds)
    height, width = options.crop_size
    about = (
        f"{options.model}, {options.backbone}, {options.num_classes} classes, batch {options.batch_size} of "
        f"{height}x{width}, {options.optimizer}"
    )
    report(results, loads, about, "a step")
    if options.json is not None:
        write_results(options.json, dataclasses.asdict(options), results, loads)


if __name__ == "__main__":
    run_command(main)
