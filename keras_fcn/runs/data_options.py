"""The settings that say which data are read: of every command, and those of a run."""

from __future__ import annotations

import dataclasses
import re
import shlex
from typing import Annotated, Any, get_args

from tyro.conf import arg

from keras_fcn.errors import UserError, argument
from keras_fcn.runs import names
from keras_fcn.system.options import Options, Range, hint

SMALLEST_BLOCK = 64
"""Side in pixels of the smallest blocks into which images are divided."""

_FOLDS = Range(lambda folds: folds >= 2, "must be at least 2")
_UNLABELLED = get_args(names.Unlabelled)
_TAUGHT_HINT = f"({', '.join(_UNLABELLED)}, {names.TEACH} or DIR; default: leave_out)"
_BLOCK = Range(lambda side: side >= SMALLEST_BLOCK, f"must be at least {SMALLEST_BLOCK}")


CHANNELS = Range(
    lambda text: bool(re.fullmatch(r"[1-9]\d{0,2}(,[1-9]\d{0,2})*,?", text, re.ASCII)),
    "takes a number of channels, such as 4, or the numbers of those to read, such as 1,2,3,8 (only the fourth: 4,)",
)
"""The range of `channels`."""

_CHANNELS_HINT = "(default: 3, red, green and blue of any image)"


SplitsOption = Annotated[tuple[str, ...], Range(bool, "takes the name of a split at least"), arg(metavar="NAME...")]
"""The splits that a command goes through."""

ChannelsOption = Annotated[
    str | None, CHANNELS, arg(metavar="N or N,N,...", help_behavior_hint="(default: the model's)")
]
"""The channels that a model's images are read by."""


@dataclasses.dataclass(frozen=True)
class SourceOptions(Options):
    """A data set: where it is, and how it is read."""

    can_teach = False
    """Whether `unlabelled` takes images that a teacher labels."""

    data: Annotated[str | None, arg(metavar="DIR", help_behavior_hint="(default: the data of the first run)")] = None
    """A folder of images and masks; `toy`, the embedded data set; or `voc2012`, downloaded at first use."""

    layout: Annotated[str, arg(metavar="NAME", help_behavior_hint=hint(("auto", *names.LAYOUTS), "auto"))] = "auto"
    """The layout of the folder; `auto` recognizes it. `via:ATTRIBUTE` and `datumaro:FORMAT` say what is meant."""

    images: Annotated[str | None, arg(metavar="PATTERN", help_behavior_hint="")] = None
    """Instead of a layout, where images are in the folder: '{split}/*/{name}.jpg', say. {split} and {name} are parts of
    the name of a folder or file, * is any text in one, ** any folders."""

    masks: Annotated[str | None, arg(metavar="PATTERN", help_behavior_hint="")] = None
    """Where their masks are; what {split} and {name} stand for is the same in an image and its mask."""

    unlabelled: Annotated[str, arg(metavar="HOW", help_behavior_hint=hint(_UNLABELLED, "leave_out"))] = "leave_out"
    """Images without a mask: leave them out, or take them for background as a whole."""

    merge: Annotated[tuple[str, ...], arg(metavar="A+B=NEW ...", help_behavior_hint="")] = ()
    """Make one class of several: cow+sheep=cattle, or background+wall=background; cow=cattle renames one."""

    ignore_classes: Annotated[tuple[str, ...], arg(metavar="NAME ...", help_behavior_hint="")] = ()
    """Make the pixels of these classes void: they count in neither loss nor metrics, and are never predicted."""

    drop: Annotated[tuple[str, ...], arg(metavar="NAME ...", help_behavior_hint="")] = ()
    """Make the pixels of these classes background, as if nobody had annotated them."""

    blocks: Annotated[int | None, _BLOCK, arg(metavar="N", help_behavior_hint="")] = None
    """Divide images, one raster even, into blocks of at most N x N pixels, a fifth of which is val; for data that have
    no splits of their own."""

    group_by: Annotated[str | None, arg(metavar="GROUPS", help_behavior_hint="")] = None
    """Images that belong together, frames of a video or tiles of a scene, stay in one split where the program divides:
    a pattern of their paths, '{group}_*' or '{group}/*'; a regular expression with (?P<group>...); or FILE.csv:COLUMN,
    whose first column names images."""

    folds: Annotated[int | None, _FOLDS, arg(metavar="K", help_behavior_hint="")] = None
    """Cross-validation: divide all images, or those of the splits train and val together, into K folds, of which --fold
    is val and the others are train; groups stay whole."""

    fold: Annotated[int | None, arg(metavar="N", help_behavior_hint="")] = None
    """The fold that is val, from 1 to K."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.unlabelled not in _UNLABELLED and not self.can_teach:
            taught = f"{names.TEACH} and a folder of other images are for train.py, where a teacher labels them"
            raise UserError(
                f"{argument('unlabelled', self.unlabelled)}: must be {' or '.join(_UNLABELLED)} here; {taught}"
            )
        for name in ("group_by", "folds"):
            if self.blocks is not None and getattr(self, name) is not None:
                both = f"{argument(name)} and {argument('blocks')}"
                raise UserError(f"{both} exclude each other: blocks divide every image; leave one out")
        if self.folds is None and self.fold is not None:
            needed = f"{argument('folds')}, the number of folds, such as {argument('folds', 5)}"
            raise UserError(f"{argument('fold', self.fold)} needs {needed}")
        if self.folds is not None and (self.fold is None or not 1 <= self.fold <= self.folds):
            received = "" if self.fold is None else f". Received: {argument('fold', self.fold)}"
            raise UserError(
                f"{argument('folds', self.folds)} needs {argument('fold')}, the one that is val, from 1 to {self.folds}"
                f"{received}"
            )

    @property
    def listing(self) -> dict[str, Any]:
        """Returns how the pairs are listed, as arguments of `keras_fcn.open_pairs` beside `data`."""
        found = {"layout": self.layout, "images": self.images, "masks": self.masks, "unlabelled": self.unlabelled}
        divided = {"blocks": self.blocks, "group_by": self.group_by, "folds": self.folds, "fold": self.fold}
        return {**found, **divided, **self.wanted_classes}

    @property
    def wanted_classes(self) -> dict[str, tuple[str, ...]]:
        """Returns what classes become, as arguments of `keras_fcn.open_pairs`."""
        return {"merge": self.merge, "ignore_classes": self.ignore_classes, "drop": self.drop}

    @property
    def changes_classes(self) -> bool:
        """Returns whether classes become others."""
        return any(self.wanted_classes.values())

    @property
    def arguments(self) -> str:
        """Returns the folder, and how it is read, as arguments of `python -m keras_fcn.check`."""
        layout = None if self.layout == "auto" else self.layout
        given = {"--layout": layout, "--images": self.images, "--masks": self.masks, "--blocks": self.blocks}
        given |= {"--group-by": self.group_by, "--folds": self.folds, "--fold": self.fold}
        return " ".join(
            [str(self.data), *(f"{name} {shlex.quote(str(value))}" for name, value in given.items() if value)]
        )

    def is_like(self, other: SourceOptions) -> bool:
        """Returns whether other options mean the same files."""
        return (self.data, self.images, self.masks) == (other.data, other.images, other.masks)


@dataclasses.dataclass(frozen=True)
class ImageOptions(SourceOptions):
    """A data set, and the channels that are read of its images."""

    channels: Annotated[str, CHANNELS, arg(metavar="N or N,N,...", help_behavior_hint=_CHANNELS_HINT)] = "3"
    """Read images of N channels (1: grey, 4: with near infrared); or, of files of more, the channels of these numbers
    from 1. TIFFs, GeoTIFFs and NumPy's arrays may have any number, PNGs up to four."""

    @property
    def listing(self) -> dict[str, Any]:
        """Returns how the pairs are listed and read, as arguments of `keras_fcn.open_pairs` beside `data`."""
        return {**super().listing, "channels": self.channels}

    @property
    def arguments(self) -> str:
        """Returns the folder, and how it is read, as arguments of `python -m keras_fcn.check`."""
        return super().arguments + (f" --channels {self.channels}" if self.channels != "3" else "")


@dataclasses.dataclass(frozen=True)
class DataOptions(ImageOptions):
    """The data to train and evaluate on."""

    can_teach = True

    data: Annotated[str, arg(metavar="DIR")] = "toy"
    """A folder of images and masks; `toy`, embedded, drawn into data/toy; or `voc2012`, downloaded into data."""

    split: Annotated[str, arg(metavar="NAME")] = "train"
    """The split to train on."""

    val_split: Annotated[str, arg(metavar="NAME")] = "val"
    """The split to evaluate on after every epoch, on all of its images as a whole."""

    unlabelled: Annotated[str, arg(metavar="HOW", help_behavior_hint=_TAUGHT_HINT)] = "leave_out"
    """Images without a mask: leave them out; take them for background as a whole; or `teach`: let the moving average of
    the network label them as training goes. DIR: so with the images of another folder."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.folds is not None and self.split != "train":
            both = f"{argument('folds')} and {argument('split', self.split)}"
            raise UserError(f"{both} exclude each other: folds divide train and val together, and train on the rest")

    @property
    def has_teacher(self) -> bool:
        """Returns whether images without labels are trained on."""
        return self.unlabelled not in get_args(names.Unlabelled)

    @property
    def listing(self) -> dict[str, Any]:
        """Returns how the pairs are listed, as arguments of `keras_fcn.open_pairs` beside `data`."""
        return super().listing | ({"unlabelled": "leave_out"} if self.has_teacher else {})
