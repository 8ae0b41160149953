"""Training on a Ray cluster, which starts the workers and sets TF_CONFIG in each."""

from __future__ import annotations

import os
import queue
import tempfile
import traceback
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from keras_fcn.errors import LostWorkerError, UserError, argument
from keras_fcn.runs.config import TrainConfig
from keras_fcn.runs.folder import RunFolder
from keras_fcn.system.command_line import command_line
from keras_fcn.system.files import written
from keras_fcn.system.packages import require_packages
from keras_fcn.system.ray import connect, last_line
from keras_fcn.system.startup import start_tensorflow

RESTARTS = 3
"""Greatest number of restarts after a worker was lost."""


def train_on_ray(
    config: TrainConfig,
    num_workers: int,
    run_dir: Path | None = None,
    resume: Path | None = None,
    report: Callable[[str], None] = print,
) -> RunFolder:
    """Trains as `run_training` does, in several workers of a Ray cluster.

    The cluster is the one at RAY_ADDRESS or, if that is not set, one that is started on this machine.
    When a worker is lost, all are restarted, up to three times, and resume from the last checkpoint.

    Args:
        config: The settings.
        num_workers: Number of workers; each has a GPU if the cluster has as many.
        run_dir: The folder of the run, which all workers must see; runs/<time>-<model>-<backbone> if None.
        resume: The folder of a run to resume, instead.
        report: Called with each line of the log.

    Raises:
        UserError: If Ray is not installed or too small, or as `run_training` raises it.
        LostWorkerError: If workers were lost again and again.
        KeyboardInterrupt: After Ctrl-C; its text says how to resume.
    """
    if config.strategy not in ("auto", "multiworker"):
        both = f"{argument('ray_workers')} and {argument('strategy', config.strategy)}"
        raise UserError(f"{both} exclude each other; leave one of them out")
    require_packages(argument("ray_workers"), "ray", "ray")
    run = RunFolder(resume or run_dir or RunFolder.make_default(config.model, config.backbone))
    task = {"config": config, "run_dir": None if resume else run.root, "resume": resume, "folder": Path.cwd()}
    try:
        for number in range(1 + RESTARTS):
            if number:
                report("Warning  a worker was lost; restarting all of them")
            failure = _try(task, num_workers, run, report)
            if failure is None:
                return run
    except KeyboardInterrupt as interrupt:
        raise type(interrupt)(
            f"resume from the last checkpoint with {command_line('train')} --resume {run.root}"
        ) from None
    raise LostWorkerError(
        f"workers were lost {1 + RESTARTS} times; resume with {argument('resume', run.root)}. Ray says: {failure}"
    )


def _try(task: dict, num_workers: int, run: RunFolder, report: Callable[[str], None]) -> str | None:
    """Starts the workers in a new Ray session; returns why it failed, or None."""
    ray = _connect(num_workers)
    try:
        error = _fit(task, num_workers, run, report)
    finally:
        ray.shutdown()
    return last_line(error) if error else None


def _connect(num_workers: int) -> Any:
    """Returns the module `ray`, connected to a cluster of at least this size."""
    ray = connect()
    cpus = int(ray.cluster_resources().get("CPU", 0))
    if cpus < num_workers:
        ray.shutdown()
        raise UserError(
            f"{argument('ray_workers')} takes at most {cpus} here, one per CPU of the cluster. Received: {num_workers}"
        )
    return ray


def _fit(task: dict, num_workers: int, run: RunFolder, report: Callable[[str], None]) -> BaseException | None:
    """Starts the workers and logs their lines; returns Ray's error if one was lost.

    Raises:
        UserError: If a worker raised it.
    """
    import ray
    from ray.train import RunConfig, ScalingConfig
    from ray.train.tensorflow import TensorflowTrainer
    from ray.util.queue import Queue

    has_gpus = ray.cluster_resources().get("GPU", 0) >= num_workers
    messages = Queue(actor_options={"num_cpus": 0})
    root = run.root.absolute()
    with written(root):
        root.parent.mkdir(parents=True, exist_ok=True)
        temporary = tempfile.TemporaryDirectory(prefix=f".{root.name}.", dir=root.parent, ignore_cleanup_errors=True)
    with temporary as storage:
        trainer = TensorflowTrainer(
            _work,
            train_loop_config={**task, "messages": messages},
            scaling_config=ScalingConfig(num_workers=num_workers, use_gpu=has_gpus),
            run_config=RunConfig(storage_path=storage),
        )
        # In a thread, because in the main one Ray handles Ctrl-C itself.
        with ThreadPoolExecutor(1) as thread:
            end: Future = thread.submit(trainer.fit)
            try:
                others = _listen(messages, end, report)
            except KeyboardInterrupt:
                ray.shutdown()  # or the thread would continue to the end
                raise
    error = end.exception()
    for text in others.get("user error", []):
        raise UserError(text)
    if error and "bug" in others:
        raise RuntimeError(f"a worker failed:\n{others['bug'][0]}") from None
    return error


def _listen(messages: Any, end: Future, report: Callable[[str], None]) -> dict[str, list[str]]:
    """Logs the lines of the workers until they end; returns their other messages by kind."""
    others: dict[str, list[str]] = {}
    while True:
        is_over = end.done()
        try:
            kind, text = messages.get(timeout=0.5)
        except queue.Empty:
            if is_over:
                return others
            continue
        if kind == "line":
            report(text)
        else:
            others.setdefault(kind, []).append(text)


def _work(task: dict) -> None:
    """Trains in a worker, a process of its own."""
    os.environ.pop("TF_USE_LEGACY_KERAS", None)  # Ray sets it, for Keras 2
    messages = task["messages"]
    try:
        if task["folder"].is_dir():
            os.chdir(task["folder"])
        start_tensorflow(list_devices=False)
        from keras_fcn.training.train import run_training

        run_training(task["config"], task["run_dir"], task["resume"], lambda line: messages.put(("line", line)))
    except UserError as error:
        messages.put(("user error", error.marked))
        raise
    except LostWorkerError:
        raise
    except Exception:
        messages.put(("bug", traceback.format_exc()))
        raise
