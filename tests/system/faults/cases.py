"""The commands that faults are tried on, and what may be wrong after one."""

import csv
import io
import json
import re
import shutil
import signal
import zipfile
from dataclasses import dataclass
from pathlib import Path

import h5py
from injection import Fault

TRAINING = ("tensorflow", "keras_fcn.training.train", "keras_fcn.commands.train", "eager")
NETWORK = ("tensorflow", "keras_fcn.inference.predictor", "keras_fcn.inference.engines.keras_model")
EAGER = (*NETWORK, "eager")
TINY = ["--model", "fcn32s", "--crop-size", "64", "96", "--batch-size", "2", "--checkpoint-minutes", "0"]
SAID = {2: "error: ", 130: "interrupted", 138: "error: "}
"""How the only line begins, by exit status."""

OUTPUTS = ["--write", "masks", "overlays", "probabilities", "json", "labelme", "coco"]


@dataclass(frozen=True)
class Case:
    """A command on a copy of prepared folders, in the place of "@".

    Attributes:
        words: The command.
        needs: The folders to copy: "data", "run", "onnx", "engine", "models", "next".
        older: The folder to copy to the place of its own files, as earlier ones: "begun" is of this training, stopped.
        modules: What to import before.
        again: What to add to the command after a fault.
        lasting: Names of files that need not be the same twice, as patterns.
        partial: Of files that are written without what could not be read, if the exit status says so.
    """

    words: str
    needs: tuple[str, ...] = ("data",)
    modules: tuple[str, ...] = ()
    older: str = ""
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
TO_TRAIN = " ".join(["train.py --data @/data --run-dir @/out --epochs 2", *TINY])
PARTIAL = ("coco.json",)
OF_ONE_RUN = ("tensorboard", "checkpoints", "checked_files", "config.json", "fingerprint", "^lock$")
"""Of a training's files, those that tell of times or whose names count what was tried."""

BY_RUN = (*NETWORK, "keras_fcn.inference.models", "export.formats.conversion")
IMPORTS = {
    "onnx": ("keras_fcn.commands.predict", "keras_fcn.inference.engines.onnx_runtime", "keras_fcn.prediction.photos"),
    "check": ("keras_fcn.commands.check", "keras_fcn.commands.plan"),
    "convert": ("keras_fcn.commands.convert",),
    "web": ("export.web.__main__", "keras_fcn.inference.engines.onnx_runtime", "export.onnx", "onnx"),
    "serve": ("servers", "export.serve", "export.server.process"),
}
CASES = {
    "train": Case(TO_TRAIN, modules=TRAINING, lasting=OF_ONE_RUN),
    "train resumed": Case(TO_TRAIN, modules=TRAINING, older="begun", lasting=OF_ONE_RUN),
    "train with cached features": Case(
        f"{TO_TRAIN} --freeze-backbone 1 --cache-features 1", modules=TRAINING, lasting=OF_ONE_RUN
    ),
    "train in two workers": Case(
        f"tests/system/faults/two_workers.py {TO_TRAIN}", modules=TRAINING[:-1], lasting=OF_ONE_RUN
    ),
    "predict": Case(f"predict.py @/run {TO_PREDICT}", ("data", "run"), EAGER, "", "--skip-existing", partial=PARTIAL),
    "predict over older": Case(
        f"predict.py @/run {TO_PREDICT} --overwrite", ("data", "run"), EAGER, "older", partial=PARTIAL
    ),
    "predict by ONNX Runtime": Case(
        f"predict.py @/onnx/model.onnx {TO_PREDICT}",
        ("data", "onnx"),
        IMPORTS["onnx"],
        again="--skip-existing",
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
        (*BY_RUN, "export.saved_model"),
        lasting=(r"saved_model\.pb", r"fingerprint\.pb"),
    ),
    "export.onnx": Case(
        "-m export.onnx @/run @/out --output both",
        ("data", "run"),
        (*BY_RUN, "export.onnx", "tf2onnx"),
        older="onnx",
        lasting=(r"\.onnx$",),  # tf2onnx numbers its nodes otherwise in each process
    ),
    "export.openvino": Case(
        "-m export.openvino @/run @/out",
        ("data", "run"),
        (*BY_RUN, "export.openvino"),
        lasting=(r"\.xml$",),  # as ONNX's
    ),
    "export.litert": Case("-m export.litert @/run @/out", ("data", "run"), (*BY_RUN, "export.litert")),
    "export.web": Case(
        "-m export.web @/onnx/model.onnx @/out --engine-files @/engine", ("onnx", "engine"), IMPORTS["web"]
    ),
    "export.hub": Case("-m export.hub @/run @/out", ("run",), ("export.hub", "keras_fcn.evaluation.results")),
    "serve a request, reload": Case("tests/system/faults/serving.py @", ("models", "next"), IMPORTS["serve"]),
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


def prepare(work, kept, case):
    """Copies the folders that a case needs into an empty one, which has one for temporary files."""
    shutil.rmtree(work, ignore_errors=True)
    (work / "tmp").mkdir(parents=True)
    for name in case.needs:
        shutil.copytree(kept / name, work / name)
    if case.older:
        shutil.copytree(kept / case.older, work / "out")


def problems(case, commands, work, kept, expected, fault, statuses=(0, 1, 2), **more):
    """Runs a case with a fault, then again without; returns what is wrong, and how the first ended.

    Nothing is wrong with the same files as of an undisturbed run, or one line and an exit status; earlier files are
    there or replaced, nothing is half-written, and the same command goes on to the same files.

    Args:
        case: The command.
        commands: Runs it, in the folder `work`, with copies of what is `kept`.
        work: As above.
        kept: As above.
        expected: The files of an undisturbed run.
        fault: What fails; None if `more` disturbs otherwise.
        statuses: How the command may end.
        more: As for `Commands.run`.
    """
    prepare(work, kept, case)
    older, out = tree(work / "out"), work / "out"
    outcome = commands.run(case.command(work), fault, **more)
    files, is_there = tree(out), "at_stop" not in more or not outcome.hit
    differing = case.differing(files, expected) if outcome.status == 0 and is_there else []
    wrong = list(_wrong_end(outcome, differing, statuses))
    if "train.py" not in case.words and is_there:
        wrong += _wrong_files(case, files, older, expected, fault, outcome.status)
    is_done = outcome.status == 130 and not case.differing(files, expected)  # Ctrl-C came last
    if (outcome.status != 0 and not is_done) or not is_there:
        second = commands.run(case.command(work, again=True))
        if second.status != 0:
            wrong.append(f"the same command again ends with {second.status}: {second.err[-500:]}")
        elif others := case.differing(tree(out), expected):
            wrong.append(f"the same command again differs in {others}")
    return [f"{fault}: {line}" for line in wrong], outcome


def _wrong_end(outcome, differing, statuses):
    lines = [line for line in outcome.err.splitlines() if "Warning" not in line and "warnings.warn" not in line]
    if "Traceback" in outcome.err:
        yield f"a traceback: {lines[-1]}"
    elif outcome.status not in statuses:
        yield f"ends with {outcome.status}: {outcome.err[-500:]}"
    elif outcome.status in SAID and sum(line.startswith(SAID[outcome.status]) for line in lines) != 1:
        yield f"is not one line: {lines}"
    if differing:
        yield f"succeeds, but differs in {differing}"


def _wrong_files(case, files, older, expected, fault: Fault | None, status):
    shown = {
        name: content for name, content in files.items() if not any(part.startswith(".") for part in Path(name).parts)
    }
    cannot_tidy = status == -signal.SIGKILL or (
        fault is not None
        and (fault.kind == "unlink" or ("TEMPORARY" in fault.place and fault.kind in ("open", "list", "stat")))
    )
    if lost := [name for name in older if name not in files]:
        yield f"loses {lost}"
    half = [
        name
        for name in shown
        if shown[name] not in (None, older.get(name)) and not same_content(name, shown[name], expected.get(name))
    ]
    if half := [name for name in half if name in case.differing(shown, expected, status)]:
        yield f"leaves {half} half-written"
    if not cannot_tidy and (left := sorted(files.keys() - shown.keys())):
        yield f"leaves {left}"
