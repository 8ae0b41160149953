"""The training and validation data of a run, decoded once before it starts."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from keras_fcn.datasets import Inspection, Pairs, inspect_pairs, open_pairs, open_splits
from keras_fcn.datasets.balance import class_weights, repeat_factors
from keras_fcn.datasets.balance.rare import rare_classes
from keras_fcn.datasets.inspection import left_out
from keras_fcn.datasets.inspection.labels import label_remarks, require_labels
from keras_fcn.datasets.inspection.leaks import leaks
from keras_fcn.datasets.windows import large_images
from keras_fcn.errors import DataError, Remark, UserError
from keras_fcn.images.classes import ClassTable
from keras_fcn.runs.data_options import DataOptions
from keras_fcn.runs.fingerprint import Fingerprint, Pair
from keras_fcn.runs.names import TEACH, Balance
from keras_fcn.system.text import tail_of
from keras_fcn.training.inputs.unlabelled import open_unlabelled, unlabelled_images

LARGEST_DEFAULT_CROP = (320, 480)


@dataclasses.dataclass(frozen=True)
class TrainingData:
    """The training and validation data of a run.

    Attributes:
        pairs: The training data; with `balance="sampling"`, images of rare classes several times.
        validation: The validation data.
        crop_size: Height and width of the training crops, in pixels.
        rare: With `balance="windows"`, the ids of the rare classes, around which a part of the crops is drawn.
        class_weights: With `balance="weights"`, the weight of a pixel of each class in the loss.
        contents: The contents of the training images, as `Inspection` has them.
        fingerprint: The data as a run keeps them to be resumed with the same; None if nobody asks for it.
        validation_sizes: Height and width of each validation image in pixels, int [N, 2].
        validation_counts: Validation images that show each class, and pixels of each, int [2, num_classes].
        large: Height and width of the training images that are cut into windows.
        unlabelled: The images that a teacher labels, as pairs with themselves; None without a teacher.
    """

    pairs: Pairs
    validation: Pairs
    crop_size: tuple[int, int]
    class_weights: tuple[float, ...] | None = None
    rare: tuple[int, ...] = ()
    contents: tuple[str, ...] = ()
    fingerprint: Fingerprint | None = None
    validation_sizes: np.ndarray | None = None
    validation_counts: np.ndarray | None = None
    large: dict[Path, tuple[int, int]] = dataclasses.field(default_factory=dict)
    unlabelled: Pairs | None = None


def open_training_data(
    options: DataOptions,
    balance: Balance,
    crop_size: tuple[int, int] | None,
    report: Callable[[str], None],
    reading: str = "",
    require_classes: Callable[[ClassTable], None] = lambda classes: None,
) -> TrainingData:
    """Opens the data and decodes all of it once, so that every fault is found before training.

    Args:
        options: The data.
        balance: The way to balance its classes.
        crop_size: Height and width of the training crops; chosen by the sizes of the images if None.
        report: Called with each line of the log.
        reading: How masks are read, if that was chosen before; see `Pairs`.
        require_classes: Called with the classes before anything is decoded; raises UserError if they are wrong.

    Raises:
        UserError: If the data does not exist, or a file of it has a fault.
    """
    splits = options.split, options.val_split
    pairs, validation = open_splits(options.data, splits, reading=reading, **options.listing)
    require_classes(pairs.classes)
    if options.has_teacher:
        unlabelled_images(options.unlabelled, pairs)  # before all files are checked
    report(
        f"Data     {options.data}: {pairs.layout}, {pairs.classes.num_classes} classes, {len(pairs)} training and "
        f"{len(validation)} validation images; checking every file ..."
    )
    if pairs.note:
        report(f"         {pairs.note}")
    for note in pairs.mask_notes:
        report(f"Masks    {note}")
    inspections = [inspect_pairs(pairs), inspect_pairs(validation)]
    for inspection in inspections:
        inspection.require_sound()
    require_labels(pairs, inspections[0])
    findings = [finding for inspection in inspections for finding in inspection.findings]
    if options.unlabelled == TEACH:
        findings = _without_taught(findings, pairs)
    findings += leaks(pairs, inspections[0], validation, inspections[1])
    about_files = (str(finding) for finding in findings if isinstance(finding, Remark))
    about_labels = (*label_remarks(pairs, inspections[0], True), *label_remarks(validation, inspections[1], False))
    for remark in (*about_files, *about_labels):
        report(f"Remark   {remark}")
    if omitted := left_out(findings, options.arguments):
        report(f"Files    {omitted}")
    pixels, validated = (found.pixels[:, : pairs.classes.num_classes] for found in inspections)
    rare = rare_classes(pixels) if balance == "windows" else ()
    if balance == "windows":
        shares = [f"{pairs.classes.names[index]} {pixels[:, index].sum() / pixels.sum():.2%}" for index in rare]
        how = ": a third of the crops of images that show them is drawn around them" if rare else ""
        report(f"Rare     {', '.join(shares) or 'no class is'}{how}")
    fingerprint = _fingerprint(pairs, inspections[0], validation, inspections[1])
    large, unlabelled = large_images(pairs, inspections[0].sizes), None
    if options.has_teacher:
        labelled = {*inspections[0].contents, *inspections[1].contents}
        unlabelled, inspected = open_unlabelled(
            options.unlabelled, pairs, labelled, report, _test_images(options, pairs.reading)
        )
        fingerprint = dataclasses.replace(fingerprint, unlabelled=_described(unlabelled, inspected))
        large |= large_images(unlabelled, inspected.sizes)
    return TrainingData(
        pairs.repeated(repeat_factors(pixels)) if balance == "sampling" else pairs,
        validation,
        crop_size or default_crop_size(inspections[0].sizes),
        tuple(class_weights(pixels).tolist()) if balance == "weights" else None,
        rare,
        inspections[0].contents,
        fingerprint,
        inspections[1].sizes,
        np.stack([(validated > 0).sum(axis=0), validated.sum(axis=0)]),
        large,
        unlabelled,
    )


def _test_images(options: DataOptions, reading: str) -> tuple[Path, ...]:
    """Returns the images of the data set's split test, with and without masks; none if it has no such split."""
    with contextlib.suppress(UserError):
        test = open_pairs(options.data, "test", reading=reading, **options.listing)
        return (*test.images, *test.unlabelled)
    return ()


def _without_taught(findings: Iterable[DataError], pairs: Pairs) -> list[DataError]:
    """Returns the findings but for those about training images without mask, which a teacher labels."""
    taught = {str(image) for image in pairs.unlabelled}
    listed = {str(finding) for finding in pairs.findings if finding.kind == "missing mask"}
    return [
        finding
        for finding in findings
        if str(finding) not in listed
        and (finding.kind != "photo alone" or str(finding).partition(": has no mask")[0] not in taught)
    ]


def _fingerprint(pairs: Pairs, inspected: Inspection, validation: Pairs, validated: Inspection) -> Fingerprint:
    return Fingerprint(
        pairs.classes.to_dict(),
        _described(pairs, inspected),
        _described(validation, validated),
        {
            "training": inspected.pixels.sum(axis=0).tolist(),
            "validation": validated.pixels.sum(axis=0).tolist(),
        },
    )


def _described(pairs: Pairs, found: Inspection) -> list[Pair]:
    """Returns each pair as a run keeps it."""
    printable = (tail_of(image).encode("utf-8", "backslashreplace").decode() for image in pairs.images)
    return list(zip(printable, found.contents, found.label_contents))


def default_crop_size(sizes: np.ndarray) -> tuple[int, int]:
    """Returns 320 x 480, or the largest height and width in `sizes` [N, 2] rounded up to 32s where that is less."""
    height, width = (min(-(-int(size) // 32) * 32, most) for size, most in zip(sizes.max(axis=0), LARGEST_DEFAULT_CROP))
    return height, width
