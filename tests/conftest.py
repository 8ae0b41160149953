"""What several test files share: TensorFlow started once, a small drawn data set, a trained run."""

import contextlib
import gc
import io
import os
import runpy
import sys
import tempfile
from pathlib import Path

import narrow
import pytest
from servers import ids_in, serving

from keras_fcn.drawing import fonts
from keras_fcn.system.machine import return_free_memory
from keras_fcn.system.startup import start_tensorflow

os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX512_CORE_VNNI"  # float32 on every processor, to compare bits
# Two processes share two cores; what they start has the same number, as sums depend on it in their last bits.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
gc.set_threshold(20_000)  # tracing makes millions of objects that live on
fonts._reported.append("once already")  # whatever fonts this machine has, stderr is the same
_CACHE = tempfile.TemporaryDirectory()
os.environ["KERAS_FCN_CACHE"] = _CACHE.name

ROOT = Path(__file__).parents[1]
TINY = ["--model", "fcn32s", "--crop-size", "64", "96", "--batch-size", "4", "--epochs", "1"]
"""Options of a training that takes seconds."""

EXPORTED = (
    "test_server", "test_server_life", "test_clients", "test_page", "test_export", "test_tiling", "test_evaluate",
    "test_predictor",
)  # fmt: skip
"""Files that share a SavedModel and its server: one process runs them all, so that there is one of each."""

LONGEST = (
    *EXPORTED, "test_training_options", "test_resuming", "test_formats", "test_int8", "test_notebooks",
    "test_every_backbone", "test_scripts", "test_export_networks", "test_fcn", "test_replicas", "test_fine_tuning",
    "test_trainer", "test_feature_cache", "test_workers", "test_transforms", "test_training_failures",
    "test_old_files", "test_weight_names", "test_own", "test_complexity",
)  # fmt: skip
"""Files that take longest come first, lest one process is left with one of them at the end."""


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session) -> None:
    """Starts TensorFlow before the first test file imports it, but not where xdist only deals out the files."""
    if hasattr(session.config, "workerinput") or not session.config.getoption("numprocesses", None):
        start_tensorflow()
        gc.freeze()  # what these packages consist of is never garbage


def pytest_collection_modifyitems(items) -> None:
    """Puts the longest first."""
    ranks = {name: rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path.stem, len(ranks)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Deals out files to processes, those of `EXPORTED` as one.

    xdist's own `loadgroup` would do, but xdist 3.8 writes groups to `Item._nodeid`, which pytest 9.2 has no more.
    """
    from xdist.scheduler import LoadFileScheduling

    class Files(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return "exported" if Path(file).stem in EXPORTED else file

    return Files(config, log)


class Call:
    """What a script did when it was called as `python SCRIPT ARGUMENTS...` in this process: status, stdout, stderr."""

    def __init__(self, script: str, *arguments: object) -> None:
        out, err = io.StringIO(), io.StringIO()
        before = sys.argv, [*sys.path]
        sys.argv = [script, *map(str, arguments)]
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                runpy.run_path(str(ROOT / script), run_name="__main__")
        except SystemExit as stop:
            self.status = stop.code
        finally:
            sys.argv, sys.path[:] = before
        self.out, self.err = out.getvalue(), err.getvalue()


@pytest.fixture(autouse=True, scope="module")
def freed_networks():
    """Frees the networks of a test file after it: they are cycles, and small for Python, which lets them pile up.

    Keras' optimizers sum gradients over the replicas by a `tf.custom_gradient`, and TensorFlow keeps the graph of each,
    with all weights, in a registry for good: nobody can ask for the gradients of these graphs again.
    """
    yield
    from tensorflow.python.framework import ops

    for name in [name for name in ops.gradient_registry._registry if name.startswith("CustomGradient-")]:
        del ops.gradient_registry._registry[name]
    gc.collect()
    return_free_memory()


@pytest.fixture(autouse=True, scope="module")
def width(request):
    """Tries the networks themselves at their full width, and all around them with the narrow one."""
    with narrow.full_width() if "network" in request.path.parts else contextlib.nullcontext():
        yield


@pytest.fixture
def full_width():
    """Builds the real ResNet-18 V2 in a test."""
    with narrow.full_width():
        yield


@pytest.fixture(scope="session")
def toy(tmp_path_factory) -> Path:
    """A drawn data set of 10 training and 3 validation pairs; tests only read it."""
    from keras_fcn.datasets.toy import draw_toy_dataset

    return draw_toy_dataset(tmp_path_factory.mktemp("data") / "toy", {"train": 10, "val": 3})


@pytest.fixture(scope="session")
def trained(toy, tmp_path_factory) -> Path:
    """The folder of a finished run on `toy`; tests only read it."""
    run = tmp_path_factory.mktemp("runs") / "trained"
    call = Call("train.py", "--data", toy, "--run-dir", run, *TINY)
    assert call.status == 0, call.err
    return run


@pytest.fixture
def no_pictures():
    """Spares trainings the drawings, a third of their time; those of `trained` are checked."""
    from keras_fcn.training.records import writer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "predicted_samples", lambda *_: ())
        for drawing in ("draw_curves", "draw_predictions"):
            patch.setattr(writer.RunWriter, drawing, lambda self: None)
        yield


@pytest.fixture
def eager():
    """Trains without graphs: see `tiny_runs.eagerly`."""
    from tiny_runs import eagerly

    with eagerly():
        yield


@pytest.fixture(scope="session")
def plain(toy, tmp_path_factory):
    """A run of one epoch that nothing disturbed; tests only read it."""
    from tiny_runs import silent, tiny

    from keras_fcn.training.train import run_training

    return run_training(tiny(toy, epochs=1), tmp_path_factory.mktemp("plain") / "run", report=silent)


@pytest.fixture(scope="session")
def whole(toy, tmp_path_factory):
    """A run of two epochs that nothing disturbed, trained as by `eager`; tests only read it."""
    from tiny_runs import eagerly, silent, tiny

    from keras_fcn.training.train import run_training

    with eagerly():
        return run_training(tiny(toy), tmp_path_factory.mktemp("whole") / "run", report=silent)


@pytest.fixture(scope="session")
def exported(trained, tmp_path_factory) -> Path:
    """The folder of a SavedModel of `trained`, with its version folder inside; tests only read it."""
    folder = tmp_path_factory.mktemp("exports") / "model"
    call = Call("export/saved_model.py", trained, folder)
    assert call.status == 0, call.err
    return folder


@pytest.fixture(scope="session")
def server(exported):
    """A running server of `exported`, which takes bodies of half a megabyte; tests only ask it."""
    with serving(exported, "--max-body-mb", 0.5, seen=True) as running:
        yield running


@pytest.fixture(scope="session")
def signature(exported):
    """What the SavedModel `exported` itself makes of files: a function of their bytes, to rows of ids, and shares."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(exported / "1"))

    def segment(*files):
        found = loaded.signatures["serving_default"](image_bytes=tf.constant(files))
        return [ids_in(png) for png in found["mask_png_bytes"].numpy()], found["class_shares"].numpy()

    return segment


def pytest_collection_finish(session) -> None:
    """Prints the number collected even with -q: a test that nobody collects proves nothing."""
    print(f"{len(session.items)} tests collected")
    gc.collect()
    gc.freeze()  # nor are the tests themselves, and what they import
