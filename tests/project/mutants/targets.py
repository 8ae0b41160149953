"""What is changed, and which tests are asked whether they notice."""

from dataclasses import dataclass

ANNOTATIONS = "keras_fcn/datasets/layouts/annotations"
TRAINED = ("trained", "exported", "server", "plain", "whole")
"""Fixtures that train: with each mutant, they would train anew."""


@dataclass(frozen=True)
class Target:
    """Some files that do one thing."""

    files: tuple[str, ...]
    """Patterns of source files."""
    tests: tuple[str, ...]
    """Test files and folders, in `tests/`."""
    without: tuple[str, ...] = TRAINED
    """Fixtures whose tests are not asked."""


TARGETS = {
    "classes": Target(
        ("keras_fcn/images/classes.py",),
        ("images/test_classes.py", "images/test_masks.py", "images/test_mask_values.py"),
    ),
    "labels": Target(
        ("keras_fcn/images/masks.py", "keras_fcn/datasets/labels/*.py"),
        (
            *(
                f"datasets/labels/test_{name}.py"
                for name in ("naming", "choice", "scan", "readers", "class_names", "labelmap", "names_of_class_files")
            ),
            "images/test_mask_values.py",
            "datasets/labels",
            "images/test_masks.py",
        ),
    ),
    "rle": Target(
        (
            *(f"{ANNOTATIONS}/raster/{name}.py" for name in ("coco", "cvat", "label_studio")),
            "keras_fcn/prediction/annotations/coco.py",
        ),
        (
            *(f"datasets/layouts/annotations/test_{name}.py" for name in ("coco", "cvat_images", "label_studio")),
            "datasets/layouts/annotations/test_refused_shapes.py",
            "prediction/test_annotations.py",
            "prediction/test_coco_output.py",
            "prediction/annotations/test_annotation_tools.py",
        ),
    ),
    "polygons": Target(
        (
            f"{ANNOTATIONS}/common/drawing.py",
            *(f"{ANNOTATIONS}/raster/{name}.py" for name in ("labelme", "supervisely", "via", "yolo", "numbers")),
            "keras_fcn/prediction/annotations/mask/*.py",
        ),
        (
            *(
                f"datasets/layouts/annotations/test_{name}.py"
                for name in ("labelme", "supervisely", "via", "yolo", "coco")
            ),
            "datasets/layouts/annotations/test_refused_shapes.py",
            "prediction/test_annotations.py",
            "prediction/annotations/test_outlines.py",
            "prediction/annotations/test_annotation_tools.py",
        ),
    ),
    "metrics": Target(
        ("keras_fcn/evaluation/metrics.py", "keras_fcn/evaluation/results.py", "keras_fcn/evaluation/trimap.py"),
        (
            "evaluation/test_metrics.py",
            "evaluation/test_trimap.py",
            *(
                f"evaluation/test_evaluate.py::test_{name}"
                for name in (
                    "an_evaluation_is_read_back",
                    "metrics_that_cannot_be_read_are_one_line",
                    "the_worst_come_first_and_images_without_metrics_never",
                )
            ),
        ),
    ),
    "upsampling": Target(("keras_fcn/network/upscore.py",), ("network/test_upscore.py",)),
    "losses": Target(("keras_fcn/training/losses/*.py",), ("training/losses",)),
    "tiling": Target(("keras_fcn/inference/tiling.py",), ("inference/test_tiles.py",)),
    "transforms": Target(
        ("keras_fcn/pipeline/transforms.py",), ("pipeline/test_exact_transforms.py", "pipeline/test_transforms.py")
    ),
    "resume": Target(
        (
            *(f"keras_fcn/training/records/{name}.py" for name in ("beginning", "checkpoints")),
            "keras_fcn/training/opening/__init__.py",
        ),
        (
            "training/records/test_checkpoints.py",
            *(f"training/resuming/test_{name}.py" for name in ("beginning", "begun_runs", "opening")),
        ),
    ),
}
