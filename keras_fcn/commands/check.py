"""Counts the content of a data set and lists its faults: `python -m keras_fcn.check --help` explains the options."""

from __future__ import annotations

import dataclasses
import math
import sys
from pathlib import Path
from typing import Annotated

import numpy as np
from tyro.conf import Positional, arg

from keras_fcn.commands.plan import format_plan, propose
from keras_fcn.datasets import Inspection, Pairs, inspect_pairs, open_splits
from keras_fcn.datasets.balance import class_weights
from keras_fcn.datasets.balance.drawn import IMAGES, drawn_shares
from keras_fcn.datasets.inspection.labels import label_remarks, require_labels
from keras_fcn.datasets.inspection.leaks import leaks, repeats
from keras_fcn.drawing.panels import draw_check
from keras_fcn.errors import DataError, Remark
from keras_fcn.images.classes import VOID_LABEL
from keras_fcn.images.photos import read_image
from keras_fcn.images.values.channels import shown
from keras_fcn.runs.data_options import DataOptions, ImageOptions, SplitsOption
from keras_fcn.system.command_line import as_options, parse_options
from keras_fcn.system.files import require_writable, write_json
from keras_fcn.system.options import as_words, option
from keras_fcn.system.progress import progress_bar
from keras_fcn.system.text import table
from keras_fcn.training.inputs.data import default_crop_size

FINDINGS, SHOWN_FINDINGS, PICTURED = 1, 20, 6


@dataclasses.dataclass(frozen=True)
class CheckOptions(ImageOptions):
    """Counts the content of a data set and lists its faults: files, sizes, colours, ids, pixels and images per class.

    Exit status: 0 without findings or with remarks alone, which are about files that are read nevertheless; 1 with
    findings; 2 if the data set cannot be read at all.
    """

    data: Annotated[Positional[str], arg(metavar="DIR")] = dataclasses.field()
    """A folder of images and masks, or `toy` for the embedded data set."""

    splits: SplitsOption = ("train", "val")
    """The splits to check."""

    picture: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")] = None
    """A PNG to draw examples and the pixels of each class to; an existing one is replaced."""

    json: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")] = None
    """A JSON file to write all counts, findings and the plan to; an existing one is replaced."""

    @property
    def words(self) -> list[str]:
        """The options of `train.py` that mean the same data."""
        given = {field.name: getattr(self, field.name) for field in dataclasses.fields(ImageOptions)}
        changed = {field.name for field in dataclasses.fields(ImageOptions) if given[field.name] != field.default}
        named = {"split": self.splits[0], **({"val_split": self.splits[1]} if len(self.splits) > 1 else {})}
        given |= {name: split for name, split in named.items() if split != getattr(DataOptions(), name)}
        kept = [name for name in given if name in changed or name in named]
        return [word for name in kept for word in (option(name), *as_words(given[name]))]


def main() -> int:
    """Checks, prints, draws, and returns the exit status."""
    options = parse_options(CheckOptions, sys.argv[1:])
    for path in filter(None, (options.picture, options.json)):
        require_writable(path)
    summaries: dict[str, dict] = {}
    examples: list[tuple[Pairs, int]] = []
    inspected: list[tuple[Pairs, Inspection]] = []
    for pairs in open_splits(options.data, options.splits, **options.listing):
        with progress_bar(len(pairs), "pair", pairs.split) as bar:
            inspection = inspect_pairs(pairs, bar.update, with_thumbnails=True)
        both = [remark for earlier in inspected for remark in leaks(*earlier, pairs, inspection)]
        inspected.append((pairs, inspection))
        findings = (*inspection.findings, *repeats(pairs, inspection), *both)
        inspection = dataclasses.replace(inspection, findings=findings)
        summaries[pairs.split] = summarize(pairs, inspection, is_training=not summaries)
        shown = inspection.pixels[:, : pairs.classes.num_classes]
        examples += [(pairs, index) for index in choose_examples(shown, max(1, PICTURED // len(options.splits)))]
    first, inspection = inspected[0]
    plan = None
    if not any(finding["is_fatal"] for summary in summaries.values() for finding in summary["findings"]):
        validation = len(inspected[1][0]) if len(inspected) > 1 else math.ceil(len(first) / 4)
        plan = propose(options.words, first, inspection, validation)
    if inspection.is_sound.any():
        crop_size = plan.crop_size if plan else default_crop_size(inspection.sizes)
        summaries[first.split]["drawn"] = {
            "crop_size": crop_size, "rare": drawn_shares(first, inspection, crop_size)
        }  # fmt: skip
    print(format_summaries(options.data, pairs, summaries))
    print(format_findings(summaries))
    print(format_plan(plan))
    if options.picture is None:
        print("\n--picture FILE draws examples and a histogram of the classes")
    else:
        draw_check(options.picture, _read(examples), summaries, pairs.classes)
        print(f"\nExamples and a histogram of the classes are in {options.picture}")
    if options.json is not None:
        about = {"data": options.data, "layout": pairs.layout, "classes": pairs.classes.to_dict()}
        write_json(options.json, {**about, "splits": summaries, "plan": plan and plan.to_json()})
    found = [finding for summary in summaries.values() for finding in summary["findings"]]
    return FINDINGS if any(not finding["is_remark"] for finding in found) else 0


def summarize(pairs: Pairs, inspection: Inspection, is_training: bool) -> dict:
    """Returns the counts of one split for JSON.

    Args:
        pairs: The split.
        inspection: The result of `inspect_pairs` for it.
        is_training: Whether it is the split to train on.
    """
    pixels, sizes = inspection.pixels, inspection.sizes[inspection.is_sound]
    names = pairs.classes.names
    total = int(pixels.sum())
    return {
        "pairs": len(pairs),
        "sound_pairs": int(inspection.is_sound.sum()),
        "smallest": sizes.min(axis=0).tolist() if len(sizes) else None,
        "largest": sizes.max(axis=0).tolist() if len(sizes) else None,
        "channels": _held(inspection.channels[inspection.is_sound]),
        "void_share": int(pixels[:, VOID_LABEL].sum()) / total if total else None,
        "pixels": {name: int(pixels[:, index].sum()) for index, name in enumerate(names)},
        "images": {name: int((pixels[:, index] > 0).sum()) for index, name in enumerate(names)},
        "class_weights": dict(zip(names, class_weights(pixels[:, : len(names)]).tolist())),
        "remarks": label_remarks(pairs, inspection, is_training),
        "findings": [
            {
                "kind": finding.kind,
                "is_fatal": finding.is_fatal,
                "is_remark": isinstance(finding, Remark),
                "count": finding.count,
                "message": as_options(finding),
            }
            for finding in (*inspection.findings, *_missing_labels(pairs, inspection, is_training))
        ],
    }


def _held(channels: np.ndarray) -> dict[str, int]:
    """Returns how many images have each number of channels, by that number; those of which it is known."""
    numbers, counts = np.unique(channels[channels > 0], return_counts=True)
    return dict(zip(map(str, numbers.tolist()), counts.tolist()))


def _channels(pairs: Pairs, summaries: dict[str, dict]) -> list[str]:
    """Returns which channels the files have and which are read, in a line; none if all have red, green and blue."""
    held = {split: summary["channels"] for split, summary in summaries.items()}
    if pairs.channels.is_rgb and {number for counts in held.values() for number in counts} <= {"3"}:
        return []
    parts = [
        f"{split} {', '.join(f'{number} in {count} images' for number, count in counts.items())}"
        for split, counts in held.items()
        if counts
    ]
    return (
        []
        if not parts
        else [f"Channels: {'; '.join(parts)}; read as {pairs.channels.described()} (--channels {pairs.channels.text})."]
    )


def _missing_labels(pairs: Pairs, inspection: Inspection, is_training: bool) -> list[DataError]:
    try:
        if is_training:
            require_labels(pairs, inspection)
    except DataError as error:
        return [error]
    return []


def format_summaries(data: str, pairs: Pairs, summaries: dict[str, dict]) -> str:
    """Returns the counts of all splits as tables in plain text."""
    lines = [
        f"{data}: {pairs.layout}, {pairs.classes.num_classes} classes",
        *filter(None, [pairs.note]),
        *pairs.mask_notes,
        "",
    ]
    rows = []
    for split, summary in summaries.items():
        extremes = ["x".join(map(str, summary[key] or "-")) for key in ("smallest", "largest")]
        sizes = " to ".join(dict.fromkeys(extremes))  # once, if all are of one size
        void = "-" if summary["void_share"] is None else f"{summary['void_share']:.1%}"
        rows.append((split, summary["pairs"], summary["sound_pairs"], sizes, void, len(summary["findings"])))
    lines += [table(("split", "pairs", "sound", "height x width", "void", "findings"), rows, "<>><>>"), ""]
    first = next(iter(summaries))
    headers = [header for split in summaries for header in (f"{split} pixels", "images")]
    rows = []
    for name, weight in summaries[first]["class_weights"].items():
        cells = [cell for summary in summaries.values() for cell in (_fraction(summary, name), summary["images"][name])]
        rows.append((name, *cells, f"{weight:.2f}"))
    lines += [table(("class", *headers, "weight"), rows)]
    for split, summary in summaries.items():
        trained, images = summaries[first]["images"], summary["images"]
        absent = [name for name in pairs.classes.names if trained[name] and not images[name]]
        lines += [f"In no image of {split}: {', '.join(absent)}"] if absent else []
        lines += summary["remarks"]
    lines += _channels(pairs, summaries)
    lines.append(f"Weights: median frequency, from {first}; --balance weights trains with them.")
    return "\n".join([*lines, *_drawn(summaries[first].get("drawn"))])


def _drawn(drawn: dict | None) -> list[str]:
    """Returns what crops show of rare classes, in a line."""
    if not drawn or not drawn["rare"]:
        return []
    size = "x".join(map(str, drawn["crop_size"]))
    shares = [f"{name} {each['evenly']:.2%}, {each['windows']:.2%}" for name, each in drawn["rare"].items()]
    what = f"Rare, of the pixels of crops of {size} drawn evenly and with --balance windows"
    return [f"{what}: {'; '.join(shares)} (of {IMAGES} images at most)."]


def _fraction(summary: dict, name: str) -> str:
    total = sum(summary["pixels"].values())
    fraction = summary["pixels"][name] / max(total, 1)
    return "-" if not total else "<0.01%" if 0 < fraction < 0.00005 else f"{fraction:.2%}"


def choose_examples(pixels: np.ndarray, count: int) -> list[int]:
    """Returns the indices of images that together show many classes, each as large as possible.

    Args:
        pixels: Number of pixels of each class in each image, int [N, num_classes]; one of all zeros is not chosen.
        count: The greatest number of images.
    """
    extents = np.sqrt(pixels / np.maximum(pixels.sum(axis=1, keepdims=True), 1))
    chosen: list[int] = []
    for _ in range(min(count, int(pixels.any(axis=1).sum()))):
        # A class that has been shown is worth a quarter of what it was worth before.
        seen = (pixels[chosen] > 0).sum(axis=0)
        worth = (extents / 4.0**seen).sum(axis=1)
        worth[chosen] = -1
        chosen.append(int(np.argmax(worth)))
    return chosen


def format_findings(summaries: dict[str, dict]) -> str:
    """Returns all findings, counted by kind, the first of each split in full; those of every split once."""
    of_splits = {split: summary["findings"] for split, summary in summaries.items()}
    if not any(of_splits.values()):
        return "\nFindings: none"
    messages = [{finding["message"] for finding in findings} for findings in of_splits.values()]
    common = set.intersection(*messages) if len(messages) > 1 else set()
    lines, first = [], next(iter(of_splits.values()))
    if common:
        shared = [finding for finding in first if finding["message"] in common]
        lines += _of_split(" and ".join(of_splits), shared)
    for split, findings in of_splits.items():
        own = [finding for finding in findings if finding["message"] not in common]
        lines += _of_split(split, own) if own or not common else []
    return "\n".join(lines)


def _of_split(split: str, findings: list[dict]) -> list[str]:
    """Returns the lines on the findings of a split."""
    kinds = sorted({finding["kind"] for finding in findings})
    counts = [f"{sum(each['count'] for each in findings if each['kind'] == kind)} x {kind}" for kind in kinds]
    lines = ["", f"Findings in {split}: {', '.join(counts) or 'none'}"]
    lines += [f"  {finding['message']}" for finding in findings[:SHOWN_FINDINGS]]
    if len(findings) > SHOWN_FINDINGS:
        lines += [f"  ... and {len(findings) - SHOWN_FINDINGS} more; --json FILE writes all of them"]
    return lines


def _read(examples: list[tuple[Pairs, int]]) -> list[tuple[str, np.ndarray, np.ndarray]]:
    return [
        (
            f"{pairs.split}: {pairs.images[index].name}",
            shown(read_image(pairs.images[index], pairs.channels)),
            pairs.read_label(pairs.labels[index]),
        )
        for pairs, index in examples
    ]
