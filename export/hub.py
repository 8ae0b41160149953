"""Writes a run's best model for a model hub, with its card: `python -m export.hub --help` lists the options."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import shutil
import sys
import zipfile
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated, Any

import tyro
import yaml

from keras_fcn.errors import UserError
from keras_fcn.runs.config import TrainConfig
from keras_fcn.runs.config_files import OWN, own_parts, read_config
from keras_fcn.runs.fingerprint import Fingerprint
from keras_fcn.runs.folder import RunFolder
from keras_fcn.system.command_line import parse_options, run_command
from keras_fcn.system.files import new_folder, require_writable, write_json, written
from keras_fcn.system.options import Options, Range
from keras_fcn.system.text import ZIP_FAULTS

if TYPE_CHECKING:
    from keras_fcn.evaluation.results import Evaluation

_LICENSE = Range(
    lambda name: name is None or re.fullmatch(r"[a-z0-9][a-z0-9.+-]*", name) is not None,
    "takes an identifier such as apache-2.0, cc-by-4.0 or other",
)
_PATHS = ("data", "weights", "init_from", "unlabelled", "group_by")
"""Settings whose folders tell of the machine; in the published ones, the last part stays."""


@dataclasses.dataclass(frozen=True)
class HubOptions(Options):
    """Writes a folder that is ready to push to a model hub: the run's best model, its settings and metrics, its curves,
    and README.md, a model card with classes, figures, a digest of the data, and how to use it. Nothing is pushed.
    Names of images and folders of this machine stay out of it.
    """

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """The folder of a run."""

    directory: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DIR")]
    """The folder to write, a new or empty one."""

    name: Annotated[str | None, tyro.conf.arg(metavar="NAME", help_behavior_hint="(default: that of DIR)")] = None
    """The name of the model, the card's headline."""

    license: Annotated[str | None, _LICENSE, tyro.conf.arg(metavar="ID", help_behavior_hint="")] = None
    """The licence under which you publish the weights, as hubs abbreviate it: apache-2.0, cc-by-4.0, other. What the
    images and the initial weights were published under may bind you."""


def write_hub_folder(run: Path, directory: Path, name: str | None = None, license_id: str | None = None) -> None:
    """Writes a run's best model and its card to a new folder, which appears when all of it is there.

    Args:
        run: The folder of the run.
        directory: The folder to write, a new or empty one.
        name: The card's headline; the folder's name if None.
        license_id: The licence's identifier; the card says that none was given if None.

    Raises:
        UserError: If the run has no best model or no metrics, or the folder cannot be written or holds files.
    """
    from keras_fcn.evaluation.results import Evaluation
    from keras_fcn.inference.engines.opening import find_model

    folder = RunFolder(run)
    if not folder.config.is_file():
        raise UserError(f"{run}: is not a run folder (config.json); give one that train.py wrote")
    model, config, evaluation = find_model(run), read_config(folder.config), Evaluation.read(folder.metrics)
    own = own_parts(folder.config)
    if directory.exists() and not (directory.is_dir() and not any(directory.iterdir())):
        raise UserError(f"{directory}: already exists; choose another folder, and copy it into your repository")
    settings = _without_folders(config) | ({OWN: own} if own else {})
    card = _card(name or directory.resolve().name, license_id, settings, evaluation, _digest(folder), _kept(model))
    metrics = evaluation.to_json()
    del metrics["image_mean_iou"]  # by the names of images
    with written(directory), new_folder(directory) as made:
        shutil.copyfile(model, made / "best.keras")
        write_json(made / "config.json", settings)
        write_json(made / "metrics.json", metrics)
        if folder.curves.is_file():
            shutil.copyfile(folder.curves, made / "curves.png")
        (made / "README.md").write_text(card, encoding="utf-8")


def _without_folders(config: TrainConfig) -> dict[str, Any]:
    """Returns the settings, of whose paths only the last part is left."""
    settings = json.loads(json.dumps(config.to_dict()))
    kept = {name: settings[name] for name in _PATHS if isinstance(settings.get(name), str)}
    if ".csv" not in str(kept.get("group_by")).lower():
        kept.pop("group_by", None)  # a pattern, not a table's path
    return settings | {name: PurePath(value).name or value for name, value in kept.items()}


def _digest(run: RunFolder) -> str | None:
    """Returns a digest of the contents of all images and masks, in their order; None if the run kept none."""
    if not run.fingerprint.is_file():
        return None
    data, _ = Fingerprint.read(run.fingerprint)
    contents = [[pair[1:] for pair in split] for split in (data.training, data.validation)]
    return hashlib.sha256(json.dumps(contents).encode()).hexdigest()


def _kept(model: Path) -> list[str]:
    """Returns lines about what was kept in a model after its training: a temperature, and thresholds."""
    try:
        with zipfile.ZipFile(model) as archive:
            layers = json.loads(archive.read("config.json"))["config"]["layers"]
        (logits,) = (layer["config"] for layer in layers if layer.get("registered_name") == "keras_fcn>Logits")
    except (OSError, KeyError, TypeError, ValueError, *ZIP_FAULTS):  # what is no such model is told where it is loaded
        return []
    temperature, thresholds = logits.get("temperature", 1), logits.get("thresholds", {})
    lines = []
    if temperature != 1:
        lines.append(
            f"A temperature is kept in the model: logits are divided by {temperature:.3g} where they become "
            "probabilities. It changes no class."
        )
    if thresholds:
        limits = ", ".join(f"{_cell(name)} from {value:g} on" for name, value in thresholds.items())
        lines.append(
            f"Thresholds are kept in the model and its exports: by its probability, a pixel is {limits}. "
            "The results below are of before; `--threshold none` is without."
        )
    return [line for text in lines for line in (text, "")]


def _metadata(
    name: str, license_id: str | None, settings: dict[str, Any], backbone: str, split: str, evaluation: Evaluation
) -> dict[str, Any]:
    """Returns what hubs read of a card."""
    metrics, data = evaluation.metrics, str(settings["data"])
    results = [
        {"type": kind, "name": title, "value": round(100 * value, 2)}
        for kind, title, value in (
            ("mean_iou", "mean IoU", metrics.mean_iou),
            ("accuracy", "pixel accuracy", metrics.pixel_accuracy),
        )
    ]
    task = {"type": "image-segmentation", "name": "semantic segmentation"}
    of_data = {"name": data, "type": data, "split": split.removeprefix("the split ")}
    return {
        **({"license": license_id} if license_id else {}),
        "library_name": "keras",
        "pipeline_tag": "image-segmentation",
        "tags": ["keras-fcn", "semantic-segmentation", settings["model"], backbone],
        "metrics": ["mean_iou"],
        "model-index": [{"name": name, "results": [{"task": task, "dataset": of_data, "metrics": results}]}],
    }


def _card(
    name: str, license_id: str | None, settings: dict[str, Any], evaluation: Evaluation, digest: str | None,
    kept: list[str],
) -> str:  # fmt: skip
    """Returns a model card in Markdown, with the metadata that hubs read in front."""
    own: dict[str, str] = settings.get(OWN, {})
    backbone = own.get("backbone", settings["backbone"])
    metrics, network, data = evaluation.metrics, f"{settings['model']} over {backbone}", str(settings["data"])
    split = f"the split {settings['val_split']}"
    if settings["folds"] and settings["val_split"] == "val":
        split = f"fold {settings['fold']} of {settings['folds']}"
    metadata = _metadata(name, license_id, settings, backbone, split, evaluation)
    rows = [
        f"| {_cell(class_name)} | {_percent(iou)} | {_percent(precision)} | {_percent(recall)} |"
        for class_name, iou, precision, recall in zip(
            evaluation.class_names, metrics.iou, metrics.precision, metrics.recall
        )
    ]
    weights = settings["init_from"] or settings["weights"]
    lines = [
        "---",
        yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True).rstrip(),
        "---",
        "",
        f"# {name}",
        "",
        f"Semantic segmentation into {len(evaluation.class_names)} classes: {network}, trained by keras-fcn on "
        f"{data!r}, from {'random weights' if weights in (None, 'none') else f'the weights {weights!r}'}.",
        "",
        "## Use",
        "",
        "With keras-fcn installed, and the folder of this card as `DIR`:",
        "",
        "    keras-fcn-predict DIR IMAGE_OR_FOLDER... --out masks",
        "",
        "or in Python:",
        "",
        '    mask = keras_fcn.Predictor("DIR/best.keras")("photo.jpg")      # class ids, uint8 [H, W]',
        "",
        *kept,
        "## Results",
        "",
        f"Of the {evaluation.num_images} whole images of {split}, in percent; the model was chosen by them.",
        "",
        "| class | IoU | precision | recall |",
        "|---|---|---|---|",
        *rows,
        f"| mean | {_percent(metrics.mean_iou)} | | |",
        "",
        f"Pixel accuracy {_percent(metrics.pixel_accuracy)}, frequency-weighted IoU "
        f"{_percent(metrics.frequency_weighted_iou)}. A dash: neither in the ground truth nor predicted.",
        "",
        "## Training",
        "",
        f"`config.json` has all settings: {settings['epochs']} epoch{'s' * (settings['epochs'] > 1)}, batches of "
        f"{settings['batch_size']}, {settings['optimizer']}, seed {settings['seed']}.",
        *([f"Parts of its author's own: {', '.join(f'{name} {part}' for name, part in own.items())}."] if own else []),
        *([f"SHA-256 of the contents of all images and masks, in their order: `{digest}`."] if digest else []),
        "",
        "## Licence",
        "",
        f"The weights: {license_id}." if license_id else "None was given; ask the author before you use the weights.",
        "",
    ]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _percent(value: float) -> str:
    return "-" if value != value else f"{100 * value:.1f}"


def main() -> None:
    """Writes the folder, and says what is in it."""
    options = parse_options(HubOptions, sys.argv[1:])
    require_writable(options.directory, is_folder=True)
    write_hub_folder(options.run, options.directory, options.name, options.license)
    if options.license is None:
        print(f"{options.directory / 'README.md'}: names no licence; --license adds one", file=sys.stderr)
    files = ", ".join(sorted(path.name for path in options.directory.iterdir()))
    print(f"{options.directory}: {files}; nothing was pushed")


def console() -> None:
    """Runs `main` as a command."""
    run_command(main)


if __name__ == "__main__":
    console()
