"""Settings in files: recipes, and the config.json of a run."""

from __future__ import annotations

from pathlib import Path

import yaml

from keras_fcn.errors import UserError
from keras_fcn.runs.config import GROUP_OF, TrainConfig
from keras_fcn.system.command_line import parse_options
from keras_fcn.system.options import as_words, option

OWN = "own"
"""The key of a run's config.json beside the settings; see `own_parts`."""
RECIPES = Path(__file__).parent / "recipes"
"""Files of settings that are installed with the package."""


def read_config(path: Path) -> TrainConfig:
    """Reads settings from a YAML or JSON file.

    Raises:
        UserError: If the file cannot be read, or a setting is unknown or has a wrong value.
    """
    try:
        return parse_options(TrainConfig, config_words(path))
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def config_words(path: Path) -> list[str]:
    """Returns a file's settings as arguments of a command line, so that the same rules check both."""
    given = {name: value for name, value in _read(path).items() if name != OWN and value is not None}
    return [word for name, value in given.items() for word in (option(name), *as_words(value))]


def own_parts(path: Path) -> dict[str, str]:
    """Returns the names of a run's own parts, which Python handed in, by the argument."""
    return _read(path).get(OWN, {})


def _recipe(path: Path) -> Path | None:
    """Returns the recipe that `NAME` or `recipes/NAME.yaml` means where there is no such file."""
    recipe = RECIPES / f"{path.stem}.yaml"
    named = path.parent.name in ("", "recipes") and not path.exists()
    return recipe if named and recipe.is_file() else None


def _read(path: Path) -> dict:
    path = _recipe(path) or path
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))  # JSON is YAML, too
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: is neither YAML nor JSON ({' '.join(str(error).split())})") from None
    known = {*GROUP_OF, OWN}
    if not isinstance(settings, dict) or not settings.keys() <= known:
        unknown = ", ".join(sorted(map(str, settings.keys() - known))) if isinstance(settings, dict) else "no settings"
        raise UserError(
            f"{path}: holds {unknown}, which train.py does not know; settings are {', '.join(sorted(GROUP_OF))}"
        )
    return settings
