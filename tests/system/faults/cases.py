"""The commands that faults are tried on, and what may be wrong after one."""

import csv
import io
import json
import re
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path

import h5py
from injection import Fault

TRAINING = ("tensorflow", "keras_fcn.training.train", "keras_fcn.commands.train", "eager")
NETWORK = ("tensorflow", "keras_fcn.inference.predictor", "keras_fcn.inference.engines.keras_model")
EAGER = (*NETWORK, "eager")
TINY = ["--model", "fcn32s", "--crop-size", "64", "96", "--batch-size", "2", "--checkpoint-minutes", "0"]
OUTPUTS = ["--write", "masks", "overlays", "probabilities", "json", "labelme", "coco"]


@dataclass(frozen=True)
class Case:
    """A command on a copy of prepared folders, in the place of "@".

    Attributes:
        words: The command.
        needs: The folders to copy: "data", "run", "onnx", "older" for earlier files in the place of its own.
        modules: What to import before.
        again: What to add to the command after a fault.
        lasting: Names of files that need not be the same twice, as patterns.
        partial: Of files that are written without what could not be read, if the exit status says so.
    """

    words: str
    needs: tuple[str, ...] = ("data",)
    modules: tuple[str, ...] = ()
    again: str = ""
    lasting: tuple[str, ...] = ()
    partial: tuple[str, ...] = ()

    def command(self, work, again=False):
        """Returns the words of the command in a folder."""
        return [word.replace("@", str(work)) for word in [*self.words.split(), *(self.again.split() if again else ())]]

    def differing(self, files, others, status=0):
        """Returns the names of files whose content is not the same in two trees; `status` allows partial ones."""
        free = self.lasting + (self.partial if status == 1 else ())
        names = [name for name in sorted(files.keys() | others.keys()) if not any(re.search(p, name) for p in free)]
        return [name for name in names if not same_content(name, files.get(name), others.get(name))]


TO_PREDICT = " ".join(["@/data/JPEGImages --out @/out", *OUTPUTS])
PARTIAL = ("coco.json",)
IMPORTS = {
    "onnx": ("keras_fcn.commands.predict", "keras_fcn.inference.engines.onnx_runtime", "keras_fcn.prediction.photos"),
    "check": ("keras_fcn.commands.check", "keras_fcn.commands.plan"),
    "convert": ("keras_fcn.commands.convert",),
}
CASES = {
    "train": Case(
        " ".join(["train.py --data @/data --run-dir @/out --epochs 2", *TINY]),
        modules=TRAINING,
        lasting=("tensorboard", "checkpoints", "checked_files", "config.json", "fingerprint", "^lock$"),
    ),
    "predict": Case(f"predict.py @/run {TO_PREDICT}", ("data", "run"), EAGER, "--skip-existing", partial=PARTIAL),
    "predict over older": Case(
        f"predict.py @/run {TO_PREDICT} --overwrite", ("data", "run", "older"), EAGER, partial=PARTIAL
    ),
    "predict by ONNX Runtime": Case(
        f"predict.py @/onnx/model.onnx {TO_PREDICT}",
        ("data", "onnx"),
        IMPORTS["onnx"],
        "--skip-existing",
        partial=PARTIAL,
    ),
    "evaluate": Case(
        "evaluate.py @/run --data @/data --split val --json @/out/metrics.json --out @/out/pictures",
        ("data", "run"),
        (*EAGER, "keras_fcn.evaluation.evaluate"),
    ),
    "check": Case("-m keras_fcn.check @/data --picture @/out/examples.png", modules=IMPORTS["check"], partial=("png",)),
    "convert": Case("-m keras_fcn.convert @/data @/out", modules=IMPORTS["convert"]),
    "convert to COCO": Case("-m keras_fcn.convert @/data @/out --to coco", modules=IMPORTS["convert"]),
    "download": Case(
        "tests/system/faults/fetching.py @/out",
        needs=(),
        modules=("download_server", "keras_fcn.datasets.download"),
        lasting=(r"\.part$",),
    ),
    "export.saved_model": Case(
        "-m export.saved_model @/run @/out",
        ("data", "run"),
        (*NETWORK, "export.saved_model"),
        lasting=(r"saved_model\.pb", r"fingerprint\.pb"),
    ),
    "export.onnx": Case(
        "-m export.onnx @/run @/out",
        ("data", "run"),
        (*NETWORK, "export.onnx", "tf2onnx"),
        lasting=(r"\.onnx$",),  # tf2onnx numbers its nodes otherwise in each process
    ),
    "export.openvino": Case("-m export.openvino @/run @/out", ("data", "run"), (*NETWORK, "export.openvino")),
    "export.litert": Case("-m export.litert @/run @/out", ("data", "run"), (*NETWORK, "export.litert")),
}


def tree(folder):
    """Returns the content of all files in a folder by their names, None for folders."""
    paths = sorted(folder.rglob("*")) if folder.is_dir() else []
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in paths}


def same_content(name, content, other):
    """Returns whether two files hold the same, but for the times that are written into some."""
    if content == other or content is None or other is None:
        return content == other
    read = {"history.csv": _without_times, "best.keras": _weights, "coco.json": _annotations}.get(Path(name).name)
    try:
        return read is not None and read(content) == read(other)
    except (ValueError, KeyError, OSError, zipfile.BadZipFile):  # it is damaged
        return False


def _without_times(content):
    rows = csv.DictReader(content.decode().splitlines())
    return [
        {key: row[key] for key in row if key not in ("seconds", "images_per_second", "waiting_share")} for row in rows
    ]


def _weights(content):
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        weights = h5py.File(io.BytesIO(file.read("model.weights.h5")))
    found = {}
    weights.visititems(
        lambda name, item: found.update({name: item[()].tobytes()}) if isinstance(item, h5py.Dataset) else None
    )
    return found


def _annotations(content):
    return {key: value for key, value in json.loads(content).items() if key != "info"}


def prepare(work, kept, needs):
    """Copies the folders that a case needs into an empty one."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    for name in needs:
        shutil.copytree(kept / name, work / {"older": "out"}.get(name, name))


def problems(case, commands, work, kept, expected, fault, lasts=False):
    """Runs a case with a fault, then again without; returns what is wrong, and how the first ended.

    Nothing is wrong with the same files as of an undisturbed run, or one line and an exit status; earlier files are
    there or replaced, nothing is half-written, and the same command goes on to the same files.
    """
    prepare(work, kept, case.needs)
    older, out = tree(work / "out"), work / "out"
    outcome = commands.run(case.command(work), fault, lasts)
    files = tree(out)
    wrong = list(_wrong_end(outcome, case.differing(files, expected) if outcome.status == 0 else []))
    wrong += (
        _wrong_files(case, files, older, expected, fault, outcome.status) if case.words.split()[0] != "train.py" else []
    )
    if outcome.status != 0:
        second = commands.run(case.command(work, again=True))
        if second.status != 0:
            wrong.append(f"the same command again ends with {second.status}: {second.err[-500:]}")
        elif others := case.differing(tree(out), expected):
            wrong.append(f"the same command again differs in {others}")
    return [f"{fault}: {line}" for line in wrong], outcome


def _wrong_end(outcome, differing):
    lines = [line for line in outcome.err.splitlines() if "Warning" not in line and "warnings.warn" not in line]
    if "Traceback" in outcome.err:
        yield f"a traceback: {lines[-1]}"
    elif outcome.status not in (0, 1, 2):
        yield f"ends with {outcome.status}: {outcome.err[-500:]}"
    elif outcome.status == 2 and sum(line.startswith("error: ") for line in lines) != 1:
        yield f"is not one line: {lines}"
    if differing:
        yield f"succeeds, but differs in {differing}"


def _wrong_files(case, files, older, expected, fault: Fault, status):
    shown = {
        name: content for name, content in files.items() if not any(part.startswith(".") for part in Path(name).parts)
    }
    is_of_removal = fault.kind == "unlink" or ("TEMPORARY" in fault.place and fault.kind in ("open", "list", "stat"))
    if lost := [name for name in older if name not in files]:
        yield f"loses {lost}"
    half = [
        name
        for name in shown
        if shown[name] not in (None, older.get(name)) and not same_content(name, shown[name], expected.get(name))
    ]
    if half := [name for name in half if name in case.differing(shown, expected, status)]:
        yield f"leaves {half} half-written"
    if not is_of_removal and (left := sorted(files.keys() - shown.keys())):
        yield f"leaves {left}"
