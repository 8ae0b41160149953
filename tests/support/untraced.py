"""Spares the code of TensorFlow, Keras and others the tracing by which coverage sees ours.

Python 3.11 stops at every line of every file for it: what traces or builds networks then takes half as long again.
"""

import functools
import importlib
import sys

FUNCTIONS = (
    "tensorflow.python.framework.op_def_library:_apply_op_helper",
    "tensorflow.python.framework.tensor_conversion_registry:convert",
    "tensorflow.python.ops.gradients_util:_GradientsHelper",
    "tensorflow.python.eager.polymorphic_function.concrete_function:ConcreteFunction._call_flat",
    "tensorflow.python.autograph.pyct.transpiler:PyToPy.transform_function",
    "tensorflow.python.framework.auto_control_deps:AutomaticControlDependencies.__exit__",
    "tensorflow.python.checkpoint.checkpoint:TrackableSaver.save",
    "keras.src.saving.saving_lib:_load_state",
    "keras.src.saving.saving_lib:_save_state",
    "keras.src.layers.layer:Layer.__setattr__",
    "matplotlib.figure:Figure.savefig",
)

OPERATIONS = ("keras.src.layers.layer:Layer.__call__", "keras.src.ops.operation:Operation.__call__")
"""Methods of our layers, too: only what is not ours, and calls nothing of ours, is spared."""

OURS_INSIDE = ("BatchNormalization", "Conv2DTranspose")
"""Layers of Keras into which we put a `call`, or an initializer."""


def _call_event() -> None:
    """Is called so that coverage's tracer gets the call on which it sets itself up."""


def untraced(function, condition=lambda *_: True):
    """Returns a function that stops tracing while it runs, if a condition holds for its first argument."""

    @functools.wraps(function)
    def call(*arguments, **options):
        tracer = sys.gettrace()
        if tracer is None or not condition(arguments[0]):
            return function(*arguments, **options)
        sys.settrace(None)
        try:
            return function(*arguments, **options)
        finally:
            sys.settrace(tracer)
            _call_event()

    return call


def _foreign(operation) -> bool:
    kind = type(operation)
    return kind.__module__.startswith(("keras.src.layers.", "keras.src.ops.")) and kind.__name__ not in OURS_INSIDE


def spare() -> None:
    """Wraps all of these functions, if something traces."""
    if sys.gettrace() is None:
        return
    for name in FUNCTIONS + OPERATIONS:
        module, path = name.split(":")
        *owners, last = path.split(".")
        owner = functools.reduce(getattr, owners, importlib.import_module(module))
        condition = {"condition": _foreign} if name in OPERATIONS else {}
        setattr(owner, last, untraced(getattr(owner, last), **condition))
