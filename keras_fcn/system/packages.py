"""Optional packages."""

from __future__ import annotations

import importlib.util

from keras_fcn.errors import UserError


def require_packages(what: str, extra: str, *modules: str) -> None:
    """Raises UserError if an optional package is not installed.

    Args:
        what: The option or feature that needs it, for the message.
        extra: The extra of this project that installs it; requirements-<extra>.txt does, too.
        *modules: The names by which the packages are imported.
    """
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        raise UserError(
            f"{what}: needs {', '.join(missing)}, which is not installed: pip install -r requirements-{extra}.txt, "
            f'or pip install "keras-fcn[{extra}]"'
        )
