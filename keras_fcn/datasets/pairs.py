"""Images paired with their label files, the common form of all data sets."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from keras_fcn.datasets.labels.choice import COLORS, READINGS
from keras_fcn.datasets.labels.mapping import ClassMapping
from keras_fcn.datasets.labels.naming import masks_of_images, naming_note, require_pairs
from keras_fcn.datasets.labels.reading import (
    LabelReader,
    Masks,
    described,
    read_mapped,
    read_of_either,
    read_or_background,
    reader,
)  # fmt: skip
from keras_fcn.datasets.listing import Files
from keras_fcn.datasets.splits import divided, division_note, resolved, split_of
from keras_fcn.errors import DataError, UserError, argument
from keras_fcn.images.classes import ClassTable
from keras_fcn.images.values.channels import RGB, Channels


@dataclasses.dataclass(frozen=True)
class Pairs:
    """One split of a data set.

    Attributes:
        layout: The name of the data set's layout, human-readable, such as "PASCAL VOC".
        split: The name of the split, such as "train".
        images: Paths of the images.
        labels: Paths of their label files, in the same order.
        classes: The classes of the labels.
        read_label: Decodes a label file of this data set.
        findings: Faults of the listing: missing and unpaired files, and pictures that are not read.
        palette_means_colors: Whether the colours of a palette PNG, not its indices, determine the classes.
        unlabelled: Images of this split that have no mask, and are left out.
        note: How the split was chosen, if the data set does not say it itself; human-readable.
        masks: All masks of the data set, from which follows how they are read; None if the layout leaves no choice.
        reading: How masks are read, chosen once for all of them; empty without a choice.
        mask_notes: What was understood of the masks and their classes and is worth a line each; human-readable.
        stored_classes: The classes of the label files, where `classes` are what these become; None without a change.
        label_ids: The id that each of the 256 ids in a label file becomes; empty without a change.
        group_of: The group of each image, of images that belong together; empty if they are not grouped.
        channels: The channels that are read of the images.
    """

    layout: str
    split: str
    images: tuple[Path, ...]
    labels: tuple[Path, ...]
    classes: ClassTable
    read_label: LabelReader
    findings: tuple[DataError, ...] = ()
    palette_means_colors: bool = False
    unlabelled: tuple[Path, ...] = ()
    note: str = ""
    masks: Masks | None = None
    reading: str = ""
    mask_notes: tuple[str, ...] = ()
    stored_classes: ClassTable | None = None
    label_ids: tuple[int, ...] = ()
    group_of: Mapping[Path, str] = dataclasses.field(default_factory=dict)
    channels: Channels = RGB

    @classmethod
    def found(
        cls,
        layout: str,
        split: str,
        source: Path,
        images: dict[str, Path],
        labels: dict[str, Path],
        classes: ClassTable,
        read_label: LabelReader,
        divide: bool,
    ) -> Pairs:
        """Pairs the images and label files of the same name; a mask's may end in `_mask`, `_label` and the like.

        Args:
            layout: The name of the data set's layout, human-readable.
            split: The name of the split.
            source: The folder of both, for error messages.
            images: Images by name.
            labels: Label files by name.
            classes: The classes of the labels.
            read_label: Decodes a label file.
            divide: Whether they have to be divided by `split_of`.

        Raises:
            UserError: If no image has a mask, or there are too few to divide.
        """
        masks = masks_of_images(images, labels)
        names = require_pairs(source, images, labels)
        alone = [name for name in images if name not in masks]
        orphans = [(images[name], "photo alone", "mask") for name in alone]
        orphans += [(path, "mask alone", "image") for name, path in masks.items() if name not in images]
        findings = [
            DataError(kind, f"{path}: has no {other}; it is ignored until you add one", is_fatal=False)
            for path, kind, other in orphans
        ]
        pairs = cls(layout, split, (), (), classes, read_label, tuple(findings))
        return pairs._chosen(names, alone, images, labels, masks, source, divide)

    @classmethod
    def listed(
        cls,
        layout: str,
        split: str,
        source: Path,
        lines: Sequence[str],
        images: dict[str, Path],
        labels: dict[str, Path],
        classes: ClassTable,
        read_label: LabelReader,
        divide: bool = False,
        needs_masks: bool = True,
    ) -> Pairs:
        """Pairs the images of a list with their label files.

        Args:
            layout: The name of the data set's layout, human-readable.
            split: The name of the split.
            source: The list.
            lines: Its lines; `splits.resolved` says what they may be.
            images: Images by name.
            labels: Label files by name.
            classes: The classes of the labels.
            read_label: Decodes a label file.
            divide: Whether they have to be divided by `split_of`.
            needs_masks: Whether an image without mask is an error, rather than left out.

        Returns:
            The pairs, with a finding for each name that lacks a file: fatal for an image, and with `needs_masks`.

        Raises:
            UserError: If no image has a mask, there are too few to divide, or two lines mean the same image.
        """
        given = resolved(source, lines, images, labels)
        masks = masks_of_images(images, labels) | {name: mask for name, mask in given.items() if mask is not None}
        findings = []
        for name in given:
            if name not in images:
                message = f"{source}: the image of {name!r:.100} is missing; add it, or remove the name from the list"
                findings.append(DataError("missing photo", message))
            if name not in masks:
                what = f"the mask of {name!r} is missing"
                fix = (
                    "add it, or remove the name from the list"
                    if needs_masks
                    else "the image is left out until you add it"
                )
                findings.append(DataError("missing mask", f"{source}: {what}; {fix}", is_fatal=needs_masks))
        names = [name for name in given if name in images and name in masks]
        if given and not names and not needs_masks:
            raise UserError(f"{source}: none of the {len(given)} images that it lists has a mask; add the masks")
        alone = [name for name in given if name in images and name not in masks]
        pairs = cls(layout, split, (), (), classes, read_label, tuple(findings))
        return pairs._chosen(names, alone, images, labels, masks, source, divide)

    def _chosen(
        self, names: list[str], alone: list[str], images: dict[str, Path], labels: dict[str, Path],
        masks: dict[str, Path], source: Path, divide: bool,
    ) -> Pairs:  # fmt: skip
        """Returns the pairs of these names, and the images alone that have no mask, or this split's part of them."""
        note = ""
        if divide:
            if self.split in ("train", "val"):
                train, val = divided(names, source)
                note, names = division_note(train, val, source), val if self.split == "val" else train
            else:
                names = split_of(names, self.split, source)
            alone = split_of(alone, self.split, source) if len(alone) > 1 else alone * (self.split != "val")
        return dataclasses.replace(
            self,
            images=tuple(images[name] for name in names),
            labels=tuple(masks[name] for name in names),
            unlabelled=tuple(images[name] for name in alone),
            findings=(*self.findings, *_left_out(images, labels)),
            note=note,
            mask_notes=tuple(filter(None, [naming_note(images, labels)])),
        )

    def chosen(self, reading: str = "") -> Pairs:
        """Returns the pairs with the reader that all masks of the data set need.

        Args:
            reading: How they are read, if that was chosen before.

        Raises:
            UserError: If the masks contradict each other or their classes.
        """
        if self.masks is None:
            return self
        reading = reading or self.masks.choose()
        if reading not in READINGS:
            known = f"masks are read by one of {', '.join(READINGS)}"
            raise UserError(
                f"{known}. Received: {reading!r:.60}; remove masks.json of the run, and all are looked at again"
            )
        by_color = self.palette_means_colors and reading == COLORS
        changed = dataclasses.replace(self, read_label=self.masks.reader(reading), palette_means_colors=by_color)
        return dataclasses.replace(changed, reading=reading, mask_notes=(*self.mask_notes, *self.masks.notes(reading)))

    def __len__(self) -> int:
        return len(self.images)

    @property
    def names(self) -> list[str]:
        """The images' names without suffix; with folder only if two folders hold the same name."""
        stems = [path.stem for path in self.images]
        paths = set(self.images)
        if len(set(stems)) == len(paths):
            return stems
        common = Path(os.path.commonpath(paths))
        return [path.relative_to(common).with_suffix("").as_posix() for path in self.images]

    def with_background(self) -> Pairs:
        """Returns the pairs, and after them the images that have no mask: all of each is background.

        Raises:
            UserError: If no class is called background.
        """
        background = self.classes.background
        if background is None:
            which = f"{argument('unlabelled', 'background')}: no class is called background"
            raise UserError(f"{which}; there are {', '.join(self.classes.names)}")
        without = frozenset(self.unlabelled)
        return dataclasses.replace(
            self,
            images=self.images + self.unlabelled,
            labels=self.labels + self.unlabelled,
            read_label=reader(read_or_background, self.read_label, without, background),
            findings=tuple(finding for finding in self.findings if finding.kind not in ("missing mask", "photo alone")),
            unlabelled=(),
        )

    def joined(self, other: Pairs) -> Pairs:
        """Returns these pairs, and after them those of another split of the same data set that are not among them.

        Raises:
            UserError: If the splits have different classes.
        """
        if self.classes.names != other.classes.names:
            both = f"the splits {self.split} and {other.split} have different classes"
            raise UserError(f"{self.images[0].parent}: {both}; folds divide images of the same classes")
        mine = set(self.images)
        more = [index for index, image in enumerate(other.images) if image not in mine]
        theirs = frozenset(other.labels[index] for index in more)
        is_same, read = described(self.read_label) == described(other.read_label), self.read_label
        return dataclasses.replace(
            self,
            images=(*self.images, *(other.images[index] for index in more)),
            labels=(*self.labels, *(other.labels[index] for index in more)),
            read_label=read if is_same else reader(read_of_either, read, other.read_label, theirs),
            findings=tuple({str(finding): finding for finding in (*self.findings, *other.findings)}.values()),
            unlabelled=tuple(dict.fromkeys((*self.unlabelled, *other.unlabelled))),
        )

    def divided(self, split: str, val: Collection[Path], note: str) -> Pairs:
        """Returns one split, "train" or "val", of all pairs.

        Args:
            split: The split.
            val: The images that are for validation, those without a mask included.
            note: How they were chosen, human-readable.
        """
        kept = [index for index, image in enumerate(self.images) if (image in val) == (split == "val")]
        images, labels = (tuple(paths[index] for index in kept) for paths in (self.images, self.labels))
        unlabelled = tuple(image for image in self.unlabelled if (image in val) == (split == "val"))
        return dataclasses.replace(self, split=split, images=images, labels=labels, unlabelled=unlabelled, note=note)

    def with_classes(self, mapping: ClassMapping) -> Pairs:
        """Returns the pairs with the classes of a mapping, by which every label goes when it is read."""
        return dataclasses.replace(
            self,
            classes=mapping.classes,
            read_label=reader(read_mapped, self.read_label, mapping.ids),
            mask_notes=(*self.mask_notes, mapping.note),
            stored_classes=self.classes,
            label_ids=mapping.ids,
        )

    def repeated(self, times: np.ndarray) -> Pairs:
        """Returns the pairs, each repeated `times`, int [N]."""
        indices = np.repeat(np.arange(len(self)), times).tolist()
        images, labels = (tuple(paths[index] for index in indices) for paths in (self.images, self.labels))
        return dataclasses.replace(self, images=images, labels=labels)

    def shard(self, index: int, count: int) -> Pairs:
        """Returns shard `index` of `count`: every `count`-th pair, from pair `index` on."""
        return dataclasses.replace(self, images=self.images[index::count], labels=self.labels[index::count])


def _left_out(*listings: dict[str, Path]) -> tuple[DataError, ...]:
    return tuple(finding for files in listings if isinstance(files, Files) for finding in files.left_out)
