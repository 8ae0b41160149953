"""Settings in files: recipes, and the config.json of a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Container
from pathlib import Path
from typing import Any

import yaml

from keras_fcn.errors import UserError, about, argument
from keras_fcn.runs.config import GROUP_OF, TrainConfig, require_one_length
from keras_fcn.system.command_line import parse_options
from keras_fcn.system.options import as_words, named_unknown, option
from keras_fcn.system.text import yaml_faults

DEFAULTS = TrainConfig()
_NULL = "tag:yaml.org,2002:null"
_SHOWN = 8
_FIX, _ALL = "mend it there, or save it again as UTF-8", "train.py --help lists all settings"

OWN = "own"
"""The key of a run's config.json beside the settings; see `own_parts`."""
OLD_WATCH = "mean_iou"
"""What the best model of a run was the best by, before there was a choice."""
CHANGEABLE = ("epochs", "data", "unlabelled")
"""The settings that may be given anew when a run is resumed; they hold from then on."""
LARGEST = 1 << 18
"""Maximum size of a file in bytes; a run's config.json has two thousand."""
RECIPES = Path(__file__).parent / "recipes"
"""Files of settings that are installed with the package."""


def read_config(path: Path) -> TrainConfig:
    """Reads settings from a YAML or JSON file.

    Raises:
        UserError: If the file cannot be read, or a setting is unknown or has a wrong value.
    """
    words = config_words(path)
    with about(path):
        return parse_options(TrainConfig, words)


def config_words(path: Path, without: Container[str] = ()) -> list[str]:
    """Returns a file's settings as arguments of a command line, so that the same rules check both.

    Args:
        path: The file.
        without: Names of settings to leave out.

    Raises:
        UserError: If the file cannot be read, or holds both epochs and minutes.
    """
    given = {name: value for name, value in _read(path).items() if name != OWN and value is not None}
    with about(path):
        require_one_length(given)
    words = {name: as_words(value) for name, value in given.items() if name not in without}
    for name, values in words.items():
        if like := next((word for word in values if word.startswith("--") or word == "-h"), None):
            raise UserError(f"{path}: {name} is given {like!r}, which begins like an option; mend it")
    return [word for name, values in words.items() for word in (option(name), *values)]


def differing_settings(path: Path, config: TrainConfig) -> list[str]:
    """Returns the names of the settings that are others than those in a run's config.json; minutes are none.

    A run that is older than `watch` takes "auto", which nobody chose, and "mean_iou", which is what it keeps.
    """
    before, now = read_config(path).to_dict(), with_own_epochs(path, config).to_dict()
    alike = {"watch"} if "watch" not in _read(path) and config.run.watch in ("auto", OLD_WATCH) else set()
    return [name for name in now if now[name] != before[name] and name not in alike]


def with_own_epochs(path: Path, config: TrainConfig) -> TrainConfig:
    """Returns settings with the epochs of a run in place of minutes, from which they were fixed when it began."""
    if config.run.minutes is None:
        return config
    kept = dataclasses.replace(config.run, epochs=read_config(path).run.epochs, minutes=None)
    return dataclasses.replace(config, run=kept)


def require_resumable(run: Path, config: TrainConfig) -> None:
    """Raises UserError unless a folder is a run whose settings are these, but for `CHANGEABLE`."""
    path = run / "config.json"
    if not path.is_file():
        raise UserError(f"{path}: no such file, so {run} is not a run to resume; runs are in runs/ by default")
    for name in differing_settings(path, config):
        if name not in CHANGEABLE:
            began = as_begun(path, read_config(path))
            before, now = (" ".join(as_words(getattr(settings, name))) or "none" for settings in (began, config))
            raise UserError(
                f"{argument(name)} is {before} in {path}. Received: {now}; leave it out to resume, or start a new run "
                f"without {argument('resume')}"
            )


def as_begun(path: Path, config: TrainConfig) -> TrainConfig:
    """Returns the settings of a run that is resumed; one whose config.json has no `watch` kept the best mean IoU."""
    if "watch" in _read(path):
        return config
    return dataclasses.replace(config, run=dataclasses.replace(config.run, watch=OLD_WATCH))


def run_classes(model: Path) -> dict[str, tuple[str, ...]]:
    """Returns what the classes of a run's data become, as arguments of `keras_fcn.open_pairs`; of a model nothing."""
    path = model / "config.json"
    return read_config(path).dataset.wanted_classes if path.is_file() else {}


def own_parts(path: Path) -> dict[str, str]:
    """Returns the names of a run's own parts, which Python handed in, by the argument."""
    return _read(path).get(OWN, {})


def _recipe(path: Path) -> Path | None:
    """Returns the recipe that `NAME` or `recipes/NAME.yaml` means where there is no such file."""
    recipe = RECIPES / f"{path.stem}.yaml"
    named = path.parent.name in ("", "recipes") and not path.exists()
    return recipe if named and recipe.is_file() else None


def _read(path: Path) -> dict[str, Any]:
    """Returns the settings of a file as the texts that stand in it, lists of these, or None where it says null.

    YAML's own types would turn `xla: on` into True, and `seed: 010` into 8.
    """
    path = _recipe(path) or path
    try:
        if path.stat().st_size > LARGEST:
            raise UserError(f"{path}: has more than {LARGEST >> 10} KiB, so it is no file of settings; give another")
        text = path.read_text(encoding="utf-8")
        with yaml_faults():
            node = yaml.compose(text, yaml.SafeLoader)  # JSON is YAML, too
    except OSError as error:
        known = ", ".join(sorted(recipe.stem for recipe in RECIPES.glob("*.yaml")))
        fix = f"give a file of settings, or one of the recipes {known}"
        raise UserError(f"{path}: cannot be read ({error.strerror}); {fix}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: is neither YAML nor JSON ({' '.join(str(error).split()):.200}); {_FIX}") from None
    if not isinstance(node, yaml.MappingNode) or not all(isinstance(key, yaml.ScalarNode) for key, _ in node.value):
        raise UserError(f"{path}: holds no settings, one on each line, such as epochs: 8; {_ALL}")
    lines: dict[str, int] = {}
    for key, _ in node.value:
        if key.value in lines:
            first, second = lines[key.value], key.start_mark.line + 1
            raise UserError(f"{path}: {key.value} stands in lines {first} and {second}; leave one of them")
        lines[key.value] = key.start_mark.line + 1
    if unknown := sorted(lines.keys() - {*GROUP_OF, OWN}):
        more = f" and {len(unknown) - _SHOWN} more" * (len(unknown) > _SHOWN)
        listed = f"{named_unknown(unknown[:_SHOWN], GROUP_OF)}{more}"
        raise UserError(f"{path}: holds {listed}, which train.py does not know; {_ALL}")
    return {key.value: _value(path, key.value, node) for key, node in node.value}


def _value(path: Path, name: str, node: yaml.Node) -> Any:
    if name == OWN:
        parts = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else [node.value]
        if not all(isinstance(part, yaml.ScalarNode) for part in parts):
            where = f"{path}: {name} in line {node.start_mark.line + 1}"
            raise UserError(f"{where} names no parts of one's own; it takes loss: NAME, say")
        return {key.value: value.value for key, value in node.value}
    default = getattr(DEFAULTS, name)
    if isinstance(node, yaml.SequenceNode) and all(isinstance(item, yaml.ScalarNode) for item in node.value):
        return [item.value for item in node.value]
    if not isinstance(node, yaml.ScalarNode) or (node.tag == _NULL and default is not None):
        such = f", such as {' '.join(as_words(default))}" if default is not None else ""
        raise UserError(f"{path}: {name} in line {node.start_mark.line + 1} takes a value or a list of values{such}")
    if node.tag == _NULL:
        return None
    if isinstance(default, bool) and node.value.lower() in yaml.SafeLoader.bool_values:
        return yaml.SafeLoader.bool_values[node.value.lower()]
    return node.value
