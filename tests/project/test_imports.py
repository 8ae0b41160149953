"""Imports run one way: scripts and export use the package, higher modules lower ones, never the other way round."""

import ast

import pytest
from conftest import ROOT

# From the top down: a module imports only from layers below its own.
LAYERS = [
    ["console"],
    ["commands"],
    ["ray_training", "prediction_run"],
    ["video_prediction", "ray_prediction"],
    ["training_run"],
    ["training", "check", "summary", "evaluation_run"],
    ["training_stream"],
    ["run_report", "training_data", "feature_cache", "submission"],
    ["evaluation_pictures"],
    ["prediction", "evaluation", "weights"],
    ["inference", "pipeline", "training_step"],
    ["score_loss"],
    ["notebook"],
    ["augmentation", "checkpoints", "devices", "tiling"],
    [
        "optimizers",
        "batch_norm",
        "datasets",
        "transforms",
        "losses",
        "metrics",
        "balance",
        "tensorboard_log",
        "visualization",
        "charts",
        "palette_png",
        "complexity",
        "progress",
        "weight_average",
        "train_options",
        "run_folder",
        "cluster",
        "workers",
        "averaging",
        "predict_options",
        "prediction_plan",
        "boundary",
        "evaluation_tables",
        "comparison_chart",
    ],
    ["outputs", "photographs", "image_inputs", "inference_options"],
    ["config", "fcn", "receptive_field", "figures", "overlays", "polygons", "storage", "video", "ray_session"],
    ["backbones", "initializers", "layers", "upscore", "cli", "image_files", "weight_files", "trace"],
    ["resnets", "vgg", "kerashub", "pillow_files", "fonts", "palettes"],
    ["weight_assignment"],
    ["weight_names"],
    ["labels", "files", "environment", "text_table", "interruption", "memory"],
    ["errors"],
]
HEIGHT = {module: -number for number, layer in enumerate(LAYERS) for module in layer}
EXPORT_LAYERS = [
    ["server.ray_app"],
    ["serve"],
    ["server.process"],
    ["server.app"],
    ["server.segmentation", "server.bodies", "server.v2"],
    ["server.batching", "server.v1", "server.versions"],
    ["server.servable", "server.limits", "server.metrics"],
    ["server.grey_png", "server.plain_header"],
    ["saved_model", "onnx", "openvino", "litert"],
    ["formats"],
    ["format_report", "calibration", "class_graph"],
    ["verification", "warmup"],
    ["signatures"],
    ["image_bytes"],
    ["image_header"],
]
NETWORK = [
    "fcn",
    "backbones",
    "resnets",
    "vgg",
    "kerashub",
    "weight_assignment",
    "weight_names",
    "initializers",
    "layers",
    "upscore",
    "labels",
    "errors",
]


def imported(path):
    """Names of the modules that a file imports, wherever in it, those for type checking only left out."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


def own(path):
    """Top-level modules of the package that a file imports."""
    return [name.split(".")[1] for name in imported(path) if name.startswith("keras_fcn.")]


def modules():
    return [path for path in sorted((ROOT / "keras_fcn").rglob("*.py")) if path != ROOT / "keras_fcn/__init__.py"]


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.stem)
def test_imports_run_down(path):
    module = path.relative_to(ROOT / "keras_fcn").parts[0].removesuffix(".py")
    lower = [other for other in own(path) if other != module]
    assert all(HEIGHT[other] < HEIGHT[module] for other in lower), lower
    assert not {"export", "train", "predict", "evaluate", "tests"} & {name.split(".")[0] for name in imported(path)}


@pytest.mark.parametrize("module", NETWORK)
def test_the_network_imports_keras_but_not_tensorflow(module):
    names = list(imported(ROOT / f"keras_fcn/{module}.py"))
    assert "tensorflow" not in {name.split(".")[0] for name in names}
    assert set(own(ROOT / f"keras_fcn/{module}.py")) <= set(NETWORK)


def exporting_modules():
    files = [
        path.relative_to(ROOT / "export")
        for folder in ("export", "export/server")
        for path in (ROOT / folder).glob("*.py")
    ]
    return sorted(".".join(path.with_suffix("").parts) for path in files if path.stem[0] != "_")


@pytest.mark.parametrize("module", exporting_modules())
def test_imports_of_export_run_down(module):
    height = {name: -number for number, layer in enumerate(EXPORT_LAYERS) for name in layer}
    path = ROOT / "export" / (module.replace(".", "/") + ".py")
    names = [name.removeprefix("export.") for name in imported(path) if name.startswith("export.")]
    assert all(height[name] < height[module] for name in names), names
