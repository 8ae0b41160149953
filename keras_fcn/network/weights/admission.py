"""Which objects a `.keras` file may name: those that compute, and none that runs code or opens files of its own.

Keras makes an object of each name in a file's config.json, of whatever module it finds there. Here that JSON is read
first, by the same rules: our layers, Keras' own of the tables below, and what the user's own program has registered.
"""

from __future__ import annotations

import json
import sys
import sysconfig
from pathlib import Path
from typing import Any

import keras

from keras_fcn.errors import UserError, about


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


LAYERS = _words(
    "Activation Add BatchNormalization Concatenate Conv2D Conv2DTranspose DepthwiseConv2D Dropout "
    "GlobalAveragePooling2D InputLayer MaxPooling2D Multiply ReLU Rescaling Reshape UpSampling2D ZeroPadding2D"
)
"""Keras' layers that our networks are built of; a test takes them from the networks."""

FURTHER_LAYERS = _words(
    "Average AveragePooling2D Cropping2D Dense ELU Flatten GaussianDropout GaussianNoise GlobalMaxPooling2D "
    "GroupNormalization Identity LayerNormalization LeakyReLU Maximum Minimum Permute SeparableConv2D Softmax "
    "SpatialDropout2D Subtract UnitNormalization"
)
"""Keras' layers that backbones of one's own are built of, too: they, too, only compute from tensors and weights."""

OPERATIONS = _words(
    "Absolute Add Clip Concatenate Divide GetItem Gelu HardSigmoid HardSilu LeakyRelu Maximum Mean Minimum Multiply "
    "Negative Relu Relu6 Sigmoid Silu Softmax Sqrt Square Subtract Tanh Transpose TrueDivide"
)
"""Operations between layers, as `x + y` or `keras.ops.relu(x)` writes them."""

INITIALIZERS = _words(
    "Constant GlorotNormal GlorotUniform HeNormal HeUniform LecunNormal LecunUniform Ones Orthogonal RandomNormal "
    "RandomUniform TruncatedNormal VarianceScaling Zeros"
)
OTHERS = _words("DTypePolicy Functional L1 L1L2 L2 MaxNorm NonNeg Sequential UnitNorm")

FUNCTIONS = _words(
    "elu gelu hard_sigmoid hard_silu hard_swish leaky_relu linear relu relu6 selu sigmoid silu softmax softplus swish "
    "tanh"
)
"""Keras' activations by name."""

_MODULES = {
    "keras.layers": LAYERS | FURTHER_LAYERS,
    "keras.initializers": INITIALIZERS,
    "keras.src.ops.nn": OPERATIONS,
    "keras.src.ops.numpy": OPERATIONS,
    **dict.fromkeys(("keras", "keras.models", "keras.regularizers", "keras.constraints"), OTHERS),
    **dict.fromkeys(("keras.src.models.functional", "keras.src.models.sequential"), OTHERS),
}
_PLAIN = _words("__keras_tensor__ __slice__ __ellipsis__")
_RUN_CODE = _words("Lambda __lambda__ TorchModuleWrapper TFSMLayer JaxLayer FlaxLayer")
_LIBRARIES = _words("site-packages dist-packages")


def require_admitted(value: Any) -> None:
    """Looks at every object and name in a part of a config.

    Args:
        value: Of JSON: a dict, list, string, number, bool or None.

    Raises:
        UserError: If it names anything that is not admitted; the message says what, and what to do.
    """
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if "class_name" in value:
                _require_admitted_object(value)
            waiting += [item for key, item in value.items() if key != "registered_name"]
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str) and (registered := _registered(value)) and not _is_trusted(value, registered):
            raise UserError(_unknown(value, getattr(registered, "__module__", None)))


def require_loadable(model: keras.Model) -> None:
    """Looks at every object of a network that is to be saved, so that none is trained that cannot be loaded.

    Raises:
        UserError: If one is not admitted.
    """
    with about(model.name):
        require_admitted(json.loads(model.to_json()))


def _require_admitted_object(entry: dict[str, Any]) -> None:
    """Raises UserError unless the object that Keras would make of a dict with a class name is admitted."""
    name, module, config = entry["class_name"], entry.get("module"), entry.get("config")
    registered_name = entry.get("registered_name")
    if not isinstance(name, str) or not all(isinstance(text, str | None) for text in (module, registered_name)):
        raise UserError("its config.json is damaged: a name is no text")
    if name in _PLAIN:
        return
    if name in _RUN_CODE:
        raise UserError(
            f"holds a layer {_shown(name)} of {_shown(module)}, which runs code of its own; "
            "build its network without, or load it with Keras if you trust who made it"
        )
    if not module:  # Keras reads it by the rules of older formats
        raise UserError(f"its config.json is damaged: {_shown(name)} is of no module")
    is_function = name == "function"
    if is_function:
        name = config if isinstance(config, str) else ""
    wanted = name if is_function or registered_name is None else registered_name
    if registered := _registered(wanted):
        if not _is_trusted(wanted, registered):
            raise UserError(_unknown(name, module))
    elif is_function:
        if name not in FUNCTIONS or module not in ("builtins", "keras.activations", "keras.ops"):
            raise UserError(_unknown(name, module))
    elif name not in _MODULES.get(module, ()) or registered_name not in (None, name):
        raise UserError(_unknown(name, module))


def _registered(name: str) -> Any:
    """Returns what this process has registered with Keras by a name, or None."""
    return keras.saving.get_registered_object(name)


def _is_trusted(name: str, registered: Any) -> bool:
    """Returns whether a registered object is ours or of the user's own program, or the user has named it in a scope.

    Installed libraries register objects, too, which do more than compute: some download what a config names.
    """
    module = getattr(registered, "__module__", None) or ""
    if name.startswith("keras_fcn>") and module.startswith("keras_fcn."):
        return True
    with keras.saving.custom_object_scope({}) as scope:
        if name in scope.backup:  # the objects of the scope around this one
            return True
    file = getattr(sys.modules.get(module), "__file__", None)
    if module in ("__main__", "__mp_main__") or file is None:
        return module not in sys.builtin_module_names
    path = Path(file)
    return not (_LIBRARIES & set(path.parts) or path.is_relative_to(sysconfig.get_path("stdlib")))


def _unknown(name: str, module: str | None) -> str:
    if module and module.split(".")[0] == "keras":
        return (
            f"holds {_shown(name)} of {_shown(module)}, which is none of the layers that are loaded: these only "
            "compute; build its network without, or load it with Keras if you trust who made it"
        )
    return (
        f"holds {_shown(name)} of {_shown(module)}, which is not known here; load it in the Python program that "
        "registers it, or, if it is of an installed library, within keras.saving.custom_object_scope"
    )


def _shown(text: str | None) -> str:
    """Returns a name of a file for a line."""
    text = "no module" if text is None else text
    return text if text.isprintable() and len(text) <= 100 else repr(text[:100])
