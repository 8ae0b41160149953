"""What tensors are called in the weight files of other programs."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable


@dataclasses.dataclass(frozen=True)
class Convention:
    """How a family of files names its tensors.

    Attributes:
        title: What to call such files.
        mark: A name that only they hold.
        backbones: Which backbones they are for.
        prefix: From a layer's name and, for a convolution, its number, to what the names of its tensors begin with.
        is_folded: Whether batch normalization is folded into a kernel and a bias for each convolution.
        suffixes: From our names of weights to those after the prefix; where `is_folded`, of the kernel only.
        ignored: Matches tensors that no backbone has, such as the classifier's.
        image_shift: A tensor that is added to the normalized images, where the backbone has no place for it.
        may_lack: Matches names of our layers that such a file is known to lack at times.
    """

    title: str
    mark: str
    backbones: tuple[str, ...]
    prefix: Callable[[str, int], str]
    is_folded: bool
    suffixes: dict[str, str]
    ignored: str
    image_shift: str = ""
    may_lack: str = ""


def _torchvision(layer: str, _number: int = 0) -> str:
    """Returns torchvision's name of a layer of our V1: "layer2.0.downsample.1" for "stage2_block1_shortcut_bn"."""
    match = re.fullmatch(r"stage(\d)_block(\d+)_(\w+)", layer)
    if match is None:
        return layer
    part = {"shortcut": "downsample.0", "shortcut_bn": "downsample.1"}.get(match[3], match[3])
    return f"layer{match[1]}.{int(match[2]) - 1}.{part}"


def _torchvision_convolution(layer: str, _number: int) -> str:
    """Returns torchvision's name of a convolution, also for the batch normalization that follows it."""
    name = _torchvision(layer)
    return name.replace("downsample.1", "downsample.0").replace("bn", "conv")


def _gluon(layer: str, _number: int) -> str:
    """Returns Gluon's name of a layer of our V2: "features.6.0.downsample" for "stage2_block1_shortcut"."""
    match = re.fullmatch(r"stage(\d)_block(\d+)_(\w+)", layer)
    if match is None:
        return f"features.{ {'bn_image': 0, 'conv1': 1, 'bn1': 2, 'bn5': 9}[layer] }"
    part = match[3].replace("shortcut", "downsample")
    return f"features.{int(match[1]) + 4}.{int(match[2]) - 1}.{part}"


def _gluon_counted(layer: str, _number: int) -> str:
    """Returns the name that Gluon gave a layer of our V2 before MXNet 1.2: a kind, and a count within the stage."""
    match = re.fullmatch(r"stage(\d)_block(\d+)_(\w+)", layer)
    if match is None:
        return {"bn_image": "batchnorm0", "conv1": "conv0", "bn1": "batchnorm1", "bn5": "batchnorm2"}[layer]
    stage, block, part = int(match[1]), int(match[2]) - 1, match[3]
    if part.startswith("bn"):
        return f"stage{stage}_batchnorm{2 * block + int(part[2:]) - 1}"
    has_projection_before = stage > 1 and block > 0
    place = {"conv1": 0, "conv2": 1, "shortcut": 2}[part]
    return f"stage{stage}_conv{2 * block + place + has_projection_before}"


def _numbered(layer: str, number: int) -> str:
    """Returns the name by the place of a convolution in the order in which the operations run."""
    return f"{number:02d}_{'dwconv' if 'depthwise' in layer else 'conv'}"


_STATISTICS = {"moving_mean": ".running_mean", "moving_variance": ".running_var"}
_TORCHVISION_SUFFIXES = {"kernel": ".weight", "gamma": ".weight", "beta": ".bias", **_STATISTICS}
_TORCHVISION_IGNORED = r"fc\..*|.*\.num_batches_tracked"

CONVENTIONS = (
    Convention(
        "torchvision's or timm's ResNet-50, -101 or -152",
        "layer1.0.conv3.weight",
        ("resnet50_v1b", "resnet101_v1b", "resnet152_v1b"),
        _torchvision,
        is_folded=False,
        suffixes=_TORCHVISION_SUFFIXES,
        ignored=_TORCHVISION_IGNORED,
    ),
    Convention(
        "torchvision's or timm's ResNet-18 or -34",
        "layer1.0.conv1.weight",
        ("resnet18_v1", "resnet34_v1"),
        _torchvision,
        is_folded=False,
        suffixes=_TORCHVISION_SUFFIXES,
        ignored=_TORCHVISION_IGNORED,
    ),
    Convention(
        "Gluon's ResNet-18 or -34 V2",
        "features.5.0.conv1.weight",
        ("resnet18_v2", "resnet34_v2"),
        _gluon,
        is_folded=False,
        suffixes={"kernel": ".weight", "gamma": ".gamma", "beta": ".beta", **_STATISTICS},
        ignored=r"output\..*|features\.0\.(gamma|beta)",  # MXNet takes 1 for this gamma, whatever is in the file,
        image_shift="features.0.beta",  # but it does add this beta
    ),
    Convention(
        "Gluon's ResNet-18 or -34 V2",
        "stage1_conv0_weight",
        ("resnet18_v2", "resnet34_v2"),
        _gluon_counted,
        is_folded=False,
        suffixes={
            "kernel": "_weight",
            "gamma": "_gamma",
            "beta": "_beta",
            "moving_mean": "_running_mean",
            "moving_variance": "_running_var",
        },
        ignored=r"dense0_.*|batchnorm0_(gamma|beta)",
        image_shift="batchnorm0_beta",
    ),
    Convention(
        "a folded ResNet-18 or -34 V1",
        "layer1.0.conv1/kernel",
        ("resnet18_v1", "resnet34_v1"),
        _torchvision_convolution,
        is_folded=True,
        suffixes={"kernel": "/kernel"},
        ignored=r"fc/.*",
        may_lack="stage4_.*",
    ),
    Convention(
        "a folded MobileNetV2",
        "01_dwconv/kernel",
        ("mobilenet_v2",),
        _numbered,
        is_folded=True,
        suffixes={"kernel": "/kernel"},
        ignored=r"52_conv/.*",
    ),
)
"""The families of files that are known."""
