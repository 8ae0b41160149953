"""Naming conventions of tensors in the weight files of other programs."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable

Shapes = dict[str, tuple[int, ...]]

_STATISTICS = {"moving_mean": ".running_mean", "moving_variance": ".running_var"}
TORCHVISION_SUFFIXES = {"kernel": ".weight", "bias": ".bias", "gamma": ".weight", "beta": ".bias", **_STATISTICS}
_GLUON_SUFFIXES = {"kernel": ".weight", "gamma": ".gamma", "beta": ".beta", **_STATISTICS}


@dataclasses.dataclass(frozen=True)
class Convention:
    """The naming convention of a family of files.

    Attributes:
        title: A description of such files.
        mark: A tensor name that only they have.
        backbones: The backbones that they are for.
        prefix: Returns the prefix of a layer's tensors from its name and, for a convolution, its number.
        ignored: A regular expression for tensors that no backbone has, such as the classifier's.
        is_folded: Whether batch normalization is folded into a kernel and a bias for each convolution.
        suffixes: The suffixes of tensor names by our names of weights, torchvision's if not given; only the kernel's if
            `is_folded`.
        image_shift: A tensor that is added to the normalized images, which the backbone has no weight for.
        may_lack: A regular expression for our layers that such a file may lack.
        kind: Returns the name of the network from the shapes of its tensors, that of a backbone or of another network
            with tensors of the same names; "" if only names tell.
    """

    title: str
    mark: str
    backbones: tuple[str, ...]
    prefix: Callable[[str, int], str]
    ignored: str
    is_folded: bool = False
    suffixes: dict[str, str] = dataclasses.field(default_factory=lambda: TORCHVISION_SUFFIXES)
    image_shift: str = ""
    may_lack: str = ""
    kind: Callable[[Shapes], str] = lambda shapes: ""


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
    """Returns the name in Gluon before MXNet 1.2 of a layer of our V2: a kind, and a count within the stage."""
    match = re.fullmatch(r"stage(\d)_block(\d+)_(\w+)", layer)
    if match is None:
        return {"bn_image": "batchnorm0", "conv1": "conv0", "bn1": "batchnorm1", "bn5": "batchnorm2"}[layer]
    stage, block, part = int(match[1]), int(match[2]) - 1, match[3]
    if part.startswith("bn"):
        return f"stage{stage}_batchnorm{2 * block + int(part[2:]) - 1}"
    has_projection_before = stage > 1 and block > 0
    position = {"conv1": 0, "conv2": 1, "shortcut": 2}[part]
    return f"stage{stage}_conv{2 * block + position + has_projection_before}"


def _numbered(layer: str, number: int) -> str:
    """Returns the name by the position of a convolution in the order of execution."""
    return f"{number:02d}_{'dwconv' if 'depthwise' in layer else 'conv'}"


def _efficientnet_lite(layer: str, _number: int) -> str:
    """Returns the name in PyTorch's EfficientNet-Lite: "_blocks.3._bn1" for "block3_depthwise_bn"."""
    match = re.fullmatch(r"block(\d+)_(expand|depthwise|project)(_bn)?", layer)
    if match is None:
        return {"stem": "_conv_stem", "stem_bn": "_bn0", "head": "_conv_head", "head_bn": "_bn1"}[layer]
    number = ("expand", "depthwise", "project").index(match[2])
    return f"_blocks.{match[1]}.{f'_bn{number}' if match[3] else f'_{match[2]}_conv'}"


_EXCITED = {4, 5, 6, 11, 12, 13, 14, 15}
"""Numbers of the blocks of MobileNetV3-Large with squeeze-excitation."""


def _mobilenet_v3(layer: str, _number: int) -> str:
    """Returns torchvision's name of a layer of our MobileNetV3: "features.4.block.1.1" for "block4_depthwise_bn"."""
    match = re.fullmatch(r"block(\d+)_(expand|depthwise|squeeze|excite|project)(_bn)?", layer)
    if match is None:
        kind, _, norm = layer.partition("_")
        return f"features.{ {'stem': 0, 'head': 16}[kind] }.{1 if norm else 0}"
    number, part, is_norm = int(match[1]), match[2], int(bool(match[3]))
    parts = ["expand", "depthwise", "excite", "project"]
    parts = [name for name in parts if not (name == "expand" and number == 1)]
    parts = [name for name in parts if not (name == "excite" and number not in _EXCITED)]
    if part in ("squeeze", "excite"):
        return f"features.{number}.block.{parts.index('excite')}.fc{1 if part == 'squeeze' else 2}"
    return f"features.{number}.block.{parts.index(part)}.{is_norm}"


_LITES: dict[tuple[int, ...], str] = {(16, 320): "0", (21, 320): "1", (21, 352): "2", (24, 384): "3", (30, 448): "4"}


def _kind_of_lite(shapes: Shapes) -> str:
    """Returns "efficientnet_lite0" to 4, which differ in the numbers of blocks and of channels before the head."""
    blocks = sum(bool(re.fullmatch(r"_blocks\.\d+\._depthwise_conv\.weight", name)) for name in shapes)
    channels = (shapes.get("_conv_head.weight") or (0, 0))[1:2]
    return f"efficientnet_lite{_LITES.get((blocks, *channels), f' of {blocks} blocks')}"


def _kind_of_bottlenecks(shapes: Shapes) -> str:
    """Returns the name of networks whose first stage is wider than their stem; "" for a ResNet."""
    stem, width, inner = (
        (*shapes.get(f"{name}.weight", ()), 0, 0)[axis]
        for name, axis in (("conv1", 0), ("layer1.0.conv1", 0), ("layer1.0.conv2", 1))
    )
    if width == stem:
        return ""
    return "a Wide ResNet" if inner == width else "a ResNeXt"


_TORCHVISION_IGNORED = r"fc\..*|.*\.num_batches_tracked"
CONVENTIONS = (
    Convention(
        "torchvision's or timm's ResNet-50, -101 or -152",
        "layer1.0.conv3.weight",
        ("resnet50_v1b", "resnet101_v1b", "resnet152_v1b"),
        _torchvision,
        ignored=_TORCHVISION_IGNORED,
        kind=_kind_of_bottlenecks,
    ),
    Convention(
        "torchvision's or timm's ResNet-18 or -34",
        "layer1.0.conv1.weight",
        ("resnet18_v1", "resnet34_v1"),
        _torchvision,
        ignored=_TORCHVISION_IGNORED,
    ),
    Convention(
        "Gluon's ResNet-18 or -34 V2",
        "features.5.0.conv1.weight",
        ("resnet18_v2", "resnet34_v2"),
        _gluon,
        suffixes=_GLUON_SUFFIXES,
        ignored=r"output\..*|features\.0\.(gamma|beta)",  # MXNet uses 1 instead of this gamma,
        image_shift="features.0.beta",  # but adds this beta
    ),
    Convention(
        "Gluon's ResNet-18 or -34 V2",
        "stage1_conv0_weight",
        ("resnet18_v2", "resnet34_v2"),
        _gluon_counted,
        suffixes={ours: theirs.replace(".", "_") for ours, theirs in _GLUON_SUFFIXES.items()},
        ignored=r"dense0_.*|batchnorm0_(gamma|beta)",
        image_shift="batchnorm0_beta",
    ),
    Convention(
        "torchvision's MobileNetV3-Large",
        "features.15.block.2.fc1.weight",
        ("mobilenet_v3_large",),
        _mobilenet_v3,
        ignored=r"classifier\..*|.*\.num_batches_tracked",
    ),
    Convention(
        "EfficientNet-Lite of the package efficientnet-lite-pytorch",
        "_blocks.0._depthwise_conv.weight",
        ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"),
        _efficientnet_lite,
        ignored=r"_fc\..*|.*\.num_batches_tracked",
        kind=_kind_of_lite,
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
"""The known conventions."""

OTHERS = {
    "conv1.0.weight": "a ResNet with three convolutions as its stem, such as timm's resnet50d",
    "layer1.0.se.fc1.weight": "a ResNet with squeeze-excitation, such as timm's seresnet50",
    "_blocks.0._se_reduce.weight": "EfficientNet with squeeze-excitation",
    "features.1.conv.0.0.weight": "torchvision's MobileNetV2, whose padding is not that of mobilenet_v2",
    "features.1.0.block.0.0.weight": "torchvision's EfficientNet",
    "features.1.block.1.fc1.weight": "torchvision's MobileNetV3-Small",
    "features.28.weight": "torchvision's VGG16",
    "blocks.0.0.conv_dw.weight": "timm's EfficientNet or MobileNet, in which padding and normalization differ "
    "(efficientnet_lite0, tf_efficientnet_lite0) and are not told by the file",
}
"""Networks close to those of `CONVENTIONS`, by tensors that only they have."""
