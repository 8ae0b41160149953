"""The options of `predict.py`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, Positional, arg

from keras_fcn.errors import UserError, argument
from keras_fcn.inference.options import InferenceOptions
from keras_fcn.runs.names import OUTPUTS, OutputName, PaletteName
from keras_fcn.system.options import AT_LEAST_1, POSITIVE, Options, Range, hint, within

_WRITE_HINT = hint(OUTPUTS, "masks overlays")
_OUTPUTS = Range(lambda outputs: len(set(outputs)) == len(outputs) > 0, "takes one or more outputs, each once")


@dataclasses.dataclass(frozen=True)
class PredictOptions(Options):
    """Segments photographs and videos, and writes masks, pictures, tables and polygons: DIR/OUTPUT/NAME.

    Raises:
        UserError: If options are missing, exclude each other or are out of their range.
    """

    model: Annotated[Positional[Path], arg(metavar="RUN_OR_MODEL")]
    """A run folder, a .keras file or a SavedModel."""

    inputs: Annotated[Positional[tuple[str, ...]], arg(metavar="INPUT...")]
    """Photographs, folders of them, quoted patterns such as "day*/**/*.jpg", videos, image sequences such as
    frame_%04d.png, and - for a list on the standard input."""

    out: Annotated[str, arg(metavar="DIR")]
    """The folder to write to."""

    write: Annotated[tuple[OutputName, ...], _OUTPUTS, arg(metavar="OUTPUT ...", help_behavior_hint=_WRITE_HINT)] = (
        "masks",
        "overlays",
    )
    """What to write of each image."""

    overwrite: Annotated[bool, FlagCreatePairsOff] = False
    """Replace files that are there already."""

    skip_existing: Annotated[bool, FlagCreatePairsOff] = False
    """Keep files that are there already and make those that are missing: goes on where a run was stopped."""

    inference: OmitArgPrefixes[InferenceOptions] = dataclasses.field(default_factory=InferenceOptions)

    palette: PaletteName = "classes"
    """Colours of pictures: the classes' own, or some that the colour-blind tell apart. Masks keep their own."""

    alpha: Annotated[float, within(0, 1), arg(metavar="0-1")] = 0.55
    """Share of the classes' colours in overlays."""

    batch_size: Annotated[
        int | None, AT_LEAST_1, arg(metavar="N", help_behavior_hint="(default: 8 on a GPU, 4 on a CPU)")
    ] = None
    """How many photographs of one size the network gets at once."""

    ray: Annotated[bool, FlagCreatePairsOff] = False
    """Predict on a Ray cluster: the one at RAY_ADDRESS or, if that is not set, one on this machine for the while."""

    fps: Annotated[float, POSITIVE, arg(metavar="N")] = 25.0
    """Frames per second of image sequences; videos have their own."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.inputs:
            raise UserError("predict.py needs photographs, folders or videos after the model, or - for a list on stdin")
        if self.overwrite and self.skip_existing:
            both = f"{argument('overwrite')} and {argument('skip_existing')}"
            raise UserError(f"{both} exclude each other; leave one of them out")

    @property
    def existing(self) -> Literal["refuse", "overwrite", "skip"]:
        """What to do about files that are there already."""
        return "overwrite" if self.overwrite else "skip" if self.skip_existing else "refuse"
