"""Tables of the names that options take, each written once; they import nothing of what they name.

The config's check, `--help` and the tables in docs/ are made from them; `pkgutil.resolve_name` imports an entry when it
is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

NETWORKS = {"fcn32s": 32, "fcn16s": 16, "fcn8s": 8, "fcn4s": 4}
"""The networks of the FCN paper, and one with a skip more, each with the stride from which its logits are upsampled to
the image at once."""

HEADS = {
    "fcn": "keras_fcn.network.heads:fcn_head",
    "deeplabv3": "keras_fcn.network.heads:deeplabv3_head",
    "lraspp": "keras_fcn.network.heads:lraspp_head",
}
"""Networks of other heads, each a "module:function" from features, the number of classes and the stride of P5 to scores
and their stride."""

_CONTEXT = "keras_fcn.network.context"

CONTEXTS = {
    "mean": f"{_CONTEXT}.mean:mean_scores",
    "pyramid": f"{_CONTEXT}.pyramid:pyramid_scores",
    "aspp": f"{_CONTEXT}.aspp:aspp_scores",
}
"""Contexts of these networks, each a "module:function" from P5, the number of classes and the stride of P5 to a list of
scores to be added, zero at first."""

OLD_CONTEXTS = dict.fromkeys(("true", "yes", "on"), "mean") | dict.fromkeys(("false", "no", "off"), "none")
"""What contexts of earlier versions, which knew only the mean, are now."""


class BackboneEntry(NamedTuple):
    """A backbone that `build_backbone` builds.

    Attributes:
        function: "module:function", which returns a `keras_fcn.network.backbones.Backbone`.
        arguments: Its arguments.
        imagenet: The publisher of its ImageNet weights; empty if none are published.
        files: The files that `--weights FILE` takes, besides those of this project.
        depthwise: Whether it has depthwise convolutions, which processors do not compute faster in bfloat16.
    """

    function: str
    arguments: tuple = ()
    imagenet: str = ""
    files: str = ""
    depthwise: bool = False


_RESNETS, _VGG, _APPLICATIONS, _LITE, _MOBILE = (
    f"keras_fcn.network.backbones.{name}"
    for name in ("resnets", "vgg", "applications", "efficientnet_lite", "mobilenet_v3")
)
_KERAS, _HUB = "keras.applications", "KerasHub"
_TORCH, _GLUON = ".pth or .safetensors of torchvision or timm", ".params of MXNet Gluon's model zoo"
_FOLDED = "an .npz of folded kernels and biases"
_PACKAGE, _MODEL = "efficientnet_lite", "_pytorch_model"
_INSTALLED, _ITS_FILE = "a package: requirements-pretrained.txt", ".pth of that package"

BACKBONES = {
    "resnet18_v2": BackboneEntry(f"{_RESNETS}:basic_v2", (2, 2, 2, 2), files=_GLUON),
    "resnet34_v2": BackboneEntry(f"{_RESNETS}:basic_v2", (3, 4, 6, 3), files=_GLUON),
    "resnet50_v2": BackboneEntry(f"{_APPLICATIONS}:resnet_v2", ("ResNet50V2", 4, 6), _KERAS),
    "resnet101_v2": BackboneEntry(f"{_APPLICATIONS}:resnet_v2", ("ResNet101V2", 4, 23), _KERAS),
    "resnet152_v2": BackboneEntry(f"{_APPLICATIONS}:resnet_v2", ("ResNet152V2", 8, 36), _KERAS),
    "resnet18_v1": BackboneEntry(f"{_RESNETS}:basic_v1", (2, 2, 2, 2), _HUB, f"{_TORCH}, {_FOLDED}"),
    "resnet34_v1": BackboneEntry(f"{_RESNETS}:basic_v1", (3, 4, 6, 3), _HUB, f"{_TORCH}, {_FOLDED}"),
    "resnet50_v1": BackboneEntry(f"{_APPLICATIONS}:resnet_v1", ("ResNet50", 4, 6), _KERAS),
    "resnet101_v1": BackboneEntry(f"{_APPLICATIONS}:resnet_v1", ("ResNet101", 4, 23), _KERAS),
    "resnet152_v1": BackboneEntry(f"{_APPLICATIONS}:resnet_v1", ("ResNet152", 8, 36), _KERAS),
    "resnet50_v1b": BackboneEntry(f"{_RESNETS}:bottleneck_v1", (3, 4, 6, 3), _HUB, _TORCH),
    "resnet101_v1b": BackboneEntry(f"{_RESNETS}:bottleneck_v1", (3, 4, 23, 3), _HUB, _TORCH),
    "resnet152_v1b": BackboneEntry(f"{_RESNETS}:bottleneck_v1", (3, 8, 36, 3), _HUB, _TORCH),
    "vgg16": BackboneEntry(f"{_VGG}:vgg16", (), _KERAS),
    "mobilenet_v2": BackboneEntry(f"{_APPLICATIONS}:mobilenet_v2", (), _KERAS, _FOLDED, depthwise=True),
    "mobilenet_v3_large": BackboneEntry(
        f"{_MOBILE}:mobilenet_v3_large", files=".pth or .safetensors of torchvision", depthwise=True
    ),
    "efficientnet_lite0": BackboneEntry(
        f"{_LITE}:lite", (1.0, 1.0, f"{_PACKAGE}0{_MODEL}"), _INSTALLED, _ITS_FILE, True
    ),
    "efficientnet_lite1": BackboneEntry(
        f"{_LITE}:lite", (1.0, 1.1, f"{_PACKAGE}1{_MODEL}"), _INSTALLED, _ITS_FILE, True
    ),
    "efficientnet_lite2": BackboneEntry(
        f"{_LITE}:lite", (1.1, 1.2, f"{_PACKAGE}2{_MODEL}"), _INSTALLED, _ITS_FILE, True
    ),
    "efficientnet_v2_b0": BackboneEntry(f"{_APPLICATIONS}:efficientnet_v2", ("B0", *"bbe"), _KERAS, depthwise=True),
    "efficientnet_v2_b3": BackboneEntry(f"{_APPLICATIONS}:efficientnet_v2", ("B3", *"ccg"), _KERAS, depthwise=True),
    "efficientnet_v2_s": BackboneEntry(f"{_APPLICATIONS}:efficientnet_v2", ("S", *"ddi"), _KERAS, depthwise=True),
}


class EngineEntry(NamedTuple):
    """A program that computes trained networks.

    Attributes:
        function: "module:function", which opens a file.
        title: The program's name.
        suffixes: Those of its files; none for folders.
        modules: The packages that it takes, as they are imported.
        install: What installs them.
        bfloat16: Whether it can compute in bfloat16.
    """

    function: str
    title: str
    suffixes: tuple[str, ...]
    modules: tuple[str, ...]
    install: str
    bfloat16: bool = False


_ENGINES, _FULL = "keras_fcn.inference.engines", "pip install -r requirements.txt"

ENGINES = {
    "keras": EngineEntry(
        f"{_ENGINES}.keras_model:open_keras",
        "Keras",
        (".keras", ".pth", ".safetensors"),
        ("tensorflow", "keras"),
        _FULL,
        bfloat16=True,
    ),
    "saved_model": EngineEntry(
        f"{_ENGINES}.saved_model:open_saved_model", "TensorFlow", (), ("tensorflow",), _FULL, True
    ),
    "onnx": EngineEntry(
        f"{_ENGINES}.onnx_runtime:open_onnx", "ONNX Runtime", (".onnx",), ("onnxruntime",), "pip install onnxruntime"
    ),
    "openvino": EngineEntry(
        f"{_ENGINES}.openvino_runtime:open_openvino", "OpenVINO", (".xml",), ("openvino",), "pip install openvino", True
    ),
    "litert": EngineEntry(
        f"{_ENGINES}.litert:open_litert", "LiteRT", (".tflite",), ("ai_edge_litert",), "pip install ai-edge-litert"
    ),
}
"""The programs that compute trained networks, known by the suffixes of their files."""

ExportedName = Literal["ids", "probabilities", "both"]
"""What an exported file gives."""

LOSSES = {
    "cross_entropy": "keras_fcn.training.losses.cross_entropy:summed_cross_entropy",
    "dice": "keras_fcn.training.losses.dice:summed_dice",
    "lovasz": "keras_fcn.training.losses.lovasz:summed_lovasz",
}
"""The losses, each a "module:function" from labels and logits to a sum and the number of its summands."""


class OptimizerEntry(NamedTuple):
    """An optimizer.

    Attributes:
        function: "module:class"; it is called with a schedule, `weight_decay`, and the other arguments.
        rate: Its default learning rate.
        decay: Its default weight decay.
        arguments: The other arguments.
    """

    function: str
    rate: float
    decay: float
    arguments: dict[str, float]


_OPTIMIZERS = "keras_fcn.training.step.optimizers"

OPTIMIZERS = {
    "sgd": OptimizerEntry(f"{_OPTIMIZERS}:SGD", 0.05, 0.0001, {"momentum": 0.9}),
    "adamw": OptimizerEntry(f"{_OPTIMIZERS}:AdamW", 0.001, 0.01, {}),
}


class TrackerEntry(NamedTuple):
    """An experiment tracker.

    Attributes:
        function: "module:class" of a run there.
        module: The package that it takes, as it is imported.
    """

    function: str
    module: str


_TRACKERS = "keras_fcn.training.records.trackers"
TRACKERS = {name: TrackerEntry(f"{_TRACKERS}:{name.capitalize()}Run", name) for name in ("mlflow", "wandb", "trackio")}
TrackerName = Literal["mlflow", "wandb", "trackio"]

SCHEDULES = {name: f"{_OPTIMIZERS}:{name}" for name in ("poly", "cosine", "constant")}
"""Schedules, each a "module:function" from the progress of a run, 0-1, to a fraction of the highest learning rate."""


class LayoutEntry(NamedTuple):
    """A layout of images and masks in folders.

    Attributes:
        function: "module:function", which lists the pairs of one split of a folder; `recognizes` of the same module
            returns whether a folder has this layout.
        shape: The content of such a folder, human-readable.
        takes: What may follow the name and a colon, the function's third argument, human-readable; nothing if it has
            none.
    """

    function: str
    shape: str
    takes: str = ""


_LAYOUTS = "keras_fcn.datasets.layouts"
_ANNOTATIONS, _PUBLISHED = f"{_LAYOUTS}.annotations", f"{_LAYOUTS}.published"

# In the order in which they are recognized: by a file of their own before by the names of folders.
LAYOUTS = {
    "voc_aug": LayoutEntry(
        f"{_PUBLISHED}.sbd:read_voc_aug", "VOC2012/ in the layout voc, benchmark_RELEASE/dataset/ of SBD"
    ),
    "cvat": LayoutEntry(f"{_LAYOUTS}.cvat:read_cvat", "labelmap.txt, SegmentationClass/, JPEGImages/"),
    "labelme": LayoutEntry(
        f"{_LAYOUTS}.labelme:read_labelme", "class_names.txt, SegmentationClass/ or SegmentationClassPNG/, JPEGImages/"
    ),
    "roboflow": LayoutEntry(f"{_LAYOUTS}.roboflow:read_roboflow", "train/ and valid/ with _classes.csv, x_mask.png"),
    "camvid": LayoutEntry(f"{_PUBLISHED}.camvid:read_camvid", "train/, trainannot/, val/, valannot/"),
    "voc": LayoutEntry(f"{_LAYOUTS}.voc:read_voc", "JPEGImages/, SegmentationClass/, ImageSets/Segmentation/"),
    "cityscapes": LayoutEntry(
        f"{_PUBLISHED}.cityscapes:read_cityscapes", "leftImg8bit/, gtFine/ or gtCoarse/; its 19 classes"
    ),
    "cityscapes_all": LayoutEntry(f"{_PUBLISHED}.cityscapes:read_all_classes", "the same, all its 30 classes"),
    "ade20k": LayoutEntry(
        f"{_PUBLISHED}.ade20k:read_ade20k", "images/training/, annotations/training/, objectInfo150.txt"
    ),
    "pets": LayoutEntry(f"{_PUBLISHED}.pets:read_pets", "images/, annotations/trimaps/"),
    "labelme_json": LayoutEntry(f"{_ANNOTATIONS}.labelme:read_labelme_json", "labelme's x.json beside x.jpg"),
    "label_studio": LayoutEntry(
        f"{_ANNOTATIONS}.label_studio:read_label_studio", "Label Studio's JSON export, images beside it or in images/"
    ),
    "cvat_images": LayoutEntry(
        f"{_ANNOTATIONS}.cvat_images:read_cvat_images", "annotations.xml of 'CVAT for images 1.1', images/ beside it"
    ),
    "supervisely": LayoutEntry(
        f"{_ANNOTATIONS}.supervisely:read_supervisely", "meta.json, and ann/x.jpg.json beside img/x.jpg in folders"
    ),
    "via": LayoutEntry(
        f"{_ANNOTATIONS}.via:read_via",
        "JSON or CSV of VGG Image Annotator, images beside it or in images/",
        "ATTRIBUTE",
    ),
    "coco": LayoutEntry(
        f"{_ANNOTATIONS}.coco.objects:read_coco", "JSON with images, annotations and categories, images beside it"
    ),
    "coco_panoptic": LayoutEntry(
        f"{_ANNOTATIONS}.coco.panoptic:read_coco_panoptic", "panoptic JSON with a folder of PNGs, images beside them"
    ),
    "yolo": LayoutEntry(f"{_ANNOTATIONS}.yolo:read_yolo", "data.yaml, images/ and labels/ of polygons"),
    "datumaro": LayoutEntry(
        f"{_ANNOTATIONS}.datumaro:read_datumaro", "what Datumaro imports under the name after the colon", "FORMAT"
    ),
    "folders": LayoutEntry(f"{_LAYOUTS}.folders:read_folders", "images/, masks/"),
}


class OutputEntry(NamedTuple):
    """A kind of file that a prediction writes.

    Attributes:
        function: "module:function" from a `keras_fcn.prediction.outputs.Prediction` to the file's bytes.
        suffix: The end of its name.
        packages: Optional packages that it needs, by the names of import.
        folder: The folder in its own that holds the files, if they are not in that itself.
        by_stem: Whether the program that reads it finds it by the image's name without suffix.
        merged: Name, and "module:function" from the files of all images to the pieces of a file of them all.
        about: Name, and "module:function" from the class table and the style to a file beside the others.
        of_probabilities: Whether it is made of probabilities.
    """

    function: str
    suffix: str
    packages: tuple[str, ...] = ()
    folder: str = ""
    by_stem: bool = False
    merged: tuple[str, str] | None = None
    about: tuple[str, str] | None = None
    of_probabilities: bool = False


_OUTPUTS = "keras_fcn.prediction.outputs"
_TOOLS = "keras_fcn.prediction.annotations"

OUTPUTS = {
    "masks": OutputEntry(f"{_OUTPUTS}:encode_mask", ".png"),
    "overlays": OutputEntry(f"{_OUTPUTS}:encode_overlay", ".jpg"),
    "panels": OutputEntry(f"{_OUTPUTS}:encode_panel", ".jpg"),
    "cutouts": OutputEntry(f"{_OUTPUTS}:encode_cutout", ".png"),
    "json": OutputEntry(f"{_OUTPUTS}:encode_json", ".json"),
    "probabilities": OutputEntry(f"{_OUTPUTS}:encode_probabilities", ".npz", of_probabilities=True),
    "confidence": OutputEntry(f"{_OUTPUTS}:encode_confidence", ".png", of_probabilities=True),
    "to_label": OutputEntry(
        f"{_OUTPUTS}:encode_to_label",
        ".json",
        of_probabilities=True,
        merged=("to_label.csv", "keras_fcn.prediction.to_label:ranked"),
    ),
    "geojson": OutputEntry(f"{_TOOLS}.encoders:encode_geojson", ".geojson", ("rasterio",)),
    "coco": OutputEntry(
        f"{_TOOLS}.encoders:encode_coco",
        ".json",
        ("pycocotools", "scipy"),
        merged=("coco.json", f"{_TOOLS}.coco:merged_coco"),
    ),
    "labelme": OutputEntry(
        f"{_TOOLS}.encoders:encode_labelme",
        ".json",
        ("scipy", "rasterio"),
        by_stem=True,
        about=("labelme/labels.txt", f"{_TOOLS}.labelme:label_list"),
    ),
    "cvat": OutputEntry(
        f"{_TOOLS}.encoders:encode_cvat",
        ".xml",
        ("pycocotools", "scipy", "rasterio"),
        merged=("cvat.xml", f"{_TOOLS}.cvat:merged_cvat"),
        about=("cvat_labels.json", f"{_TOOLS}.cvat:label_definitions"),
    ),
    "yolo": OutputEntry(
        f"{_TOOLS}.encoders:encode_yolo",
        ".txt",
        ("cv2", "scipy", "rasterio"),
        folder="labels",
        by_stem=True,
        about=("yolo/data.yaml", f"{_TOOLS}.yolo:data_yaml"),
    ),
    "labelstudio": OutputEntry(
        f"{_TOOLS}.encoders:encode_label_studio",
        ".json",
        ("pycocotools", "scipy", "rasterio"),
        merged=("labelstudio.json", f"{_TOOLS}.label_studio:merged_label_studio"),
        about=("labelstudio.xml", f"{_TOOLS}.label_studio:labeling_config"),
    ),
}
"""The kinds of files that a prediction writes, by the name of their folder."""

PALETTES = {
    "classes": "keras_fcn.drawing.palettes:own",
    "colorblind": "keras_fcn.drawing.palettes:colorblind",
}
"""Palettes of drawings, each a "module:function" from a class table to as many colours."""

Flip = Literal["none", "horizontal", "vertical", "both", "turns"]
OLD_FLIPS = dict.fromkeys(("true", "yes", "on"), "horizontal") | dict.fromkeys(("false", "no", "off"), "none")
"""What flips of earlier versions, which knew only these two, are now."""

Balance = Literal["none", "weights", "sampling", "windows"]
Unlabelled = Literal["leave_out", "background"]
TEACH = "teach"
"""What `--unlabelled` takes, too: a teacher labels the training images that have no mask."""

StrategyName = Literal["auto", "mirrored", "multiworker", "none"]
PrecisionName = Literal["auto", "float32", "bfloat16"]
SwitchName = Literal["auto", "on", "off"]
OutputStride = Literal[32, 16, 8]
UpscoreInit = Literal["bilinear", "xavier"]

if TYPE_CHECKING:
    ModelName = str
    ContextName = str
    BackboneName = str
    LossName = str
    OptimizerName = str
    ScheduleName = str
    OutputName = str
    PaletteName = str
else:  # what the command line takes
    ModelName = Literal[(*NETWORKS, *HEADS)]
    ContextName = Literal[("none", *CONTEXTS)]
    BackboneName = Literal[tuple(BACKBONES)]
    LossName = Literal[tuple(LOSSES)]
    OptimizerName = Literal[tuple(OPTIMIZERS)]
    ScheduleName = Literal[tuple(SCHEDULES)]
    OutputName = Literal[tuple(OUTPUTS)]
    PaletteName = Literal[tuple(PALETTES)]
