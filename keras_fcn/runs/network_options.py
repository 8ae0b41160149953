"""The settings of a run's network and its initial weights."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from keras_fcn.errors import UserError, argument
from keras_fcn.runs import names
from keras_fcn.system.options import NOT_NEGATIVE, Options, Range, hint, one_of

_BACKBONES_HINT = hint(names.BACKBONES, "resnet18_v2")
_INPUT_SCALE = Range(lambda scale: 0.0001 <= scale < math.inf, "must be at least 0.0001")


@dataclasses.dataclass(frozen=True)
class NetworkOptions(Options):
    """The network and its initial weights."""

    model: names.ModelName = "fcn8s"
    """The network: the paper's FCNs, finer with a smaller stride at which logits are upsampled; or another head, as in
    torchvision: `fcn`, `deeplabv3` or `lraspp`."""

    backbone: Annotated[names.BackboneName, arg(metavar="NAME", help_behavior_hint=_BACKBONES_HINT)] = "resnet18_v2"
    """The network below the head, which computes the features."""

    output_stride: names.OutputStride = 32
    """The backbone's greatest stride: with 16 or 8, convolutions of ResNet V1 and V1b (16: and MobileNetV3) are dilated
    instead, for finer features in more time."""

    weights: Annotated[str, arg(metavar="FILE")] = "none"
    """The backbone's initial weights: `none` (random), `imagenet` (installed or downloaded), or a file: .keras,
    .weights.h5, .pth or .safetensors (torchvision, timm), .params (Gluon) or .npz."""

    upscore_init: names.UpscoreInit = "bilinear"
    """Initial weights of the upsampling layers: bilinear interpolation, or random numbers."""

    context: Annotated[names.ContextName, one_of(("none", *names.CONTEXTS), names.OLD_CONTEXTS)] = "none"
    """Add logits of more of the image to those of every position, so that all of an object is predicted as the same
    class: worth many points where classes look alike in their parts, as animals do. `mean`: of the whole image's mean
    feature; `pyramid`: of those of 1, 2 x 2, 3 x 3 and 6 x 6 regions; `aspp`: of dilated convolutions."""

    input_scale: Annotated[float, _INPUT_SCALE, arg(metavar="FACTOR")] = 1.0
    """Evaluate and save a network that scales images by this factor and gives masks at their own size; 0.8, say, where
    objects fill the images, 0.25 for those of 12 megapixels. --scale sets the scale in training."""

    init_from: Annotated[Path | None, arg(metavar="RUN", help_behavior_hint="")] = None
    """Start from a trained run, a .keras file or torchvision's .pth of a network that segments, of the same backbone:
    matching layers are copied, and the scores of classes of the same name; other scores start at 0. This is how
    FCN-16s starts from FCN-32s, and FCN-8s from FCN-16s."""

    auxiliary: Annotated[float, NOT_NEGATIVE, arg(metavar="WEIGHT")] = 0.0
    """Train a second head on the features at stride 16, with this weight of its loss; 0.4, say."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "context", names.OLD_CONTEXTS.get(str(self.context).lower(), self.context))
        super().__post_init__()
        if self.init_from is not None and self.weights != "none":
            both = f"{argument('init_from')} and {argument('weights')}"
            raise UserError(f"{both} exclude each other: a run has the weights of its backbone")
        if self.model in names.HEADS and (self.context != "none" or self.upscore_init != "bilinear"):
            both = f"{argument('context')} and {argument('upscore_init')}"
            raise UserError(f"{both} are for {', '.join(names.NETWORKS)}. Received: {argument('model', self.model)}")
