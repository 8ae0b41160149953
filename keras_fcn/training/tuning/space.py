"""The settings that a search varies, and the ranges in which it does."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Union, get_args, get_origin

from keras_fcn.errors import UserError, about, argument
from keras_fcn.runs.config import GROUP_OF, TrainConfig
from keras_fcn.system.command_line import parse_options
from keras_fcn.system.options import as_words, kinds_of, named_unknown, option

Value = float | int | str
"""A number of a range, or the text of a choice."""

Params = Mapping[str, Value]
"""What a trial varies: a value for each name of the space."""

RANGE, OR, AND = "..", ",", "+"
"""What stands between the ends of a range, between choices, and between the values of one choice."""

LOGARITHMIC = 10.0
"""Ranges whose ends have this ratio, or a greater one, are searched by their logarithm."""

_FIXED = ("dataset", "devices", "run")
_LENGTHS = ("batch_size", "accumulate", "cache_features")
VARIABLE = [name for name, group in GROUP_OF.items() if group not in _FIXED and name not in _LENGTHS]
"""The settings that may be varied: trials have the same data, seed and number of steps, lest they not be comparable."""


@dataclasses.dataclass(frozen=True)
class Interval:
    """A range of numbers.

    Attributes:
        low: The least.
        high: The greatest.
        is_whole: Whether they are whole numbers.
    """

    low: float
    high: float
    is_whole: bool = False

    @property
    def is_logarithmic(self) -> bool:
        """Whether it is searched by its logarithm."""
        return self.low > 0 and self.high / self.low >= LOGARITHMIC

    def __str__(self) -> str:
        return f"{self.low}{RANGE}{self.high}"

    def rounded(self, value: float) -> float:
        """Returns a number of the range with three digits."""
        return value if self.is_whole else min(max(float(f"{value:.3g}"), self.low), self.high)


@dataclasses.dataclass(frozen=True)
class Choices:
    """Values to choose from.

    Attributes:
        values: Each by its text: "0.5+1.5" for (0.5, 1.5).
    """

    values: Mapping[str, Any]

    def __str__(self) -> str:
        return OR.join(self.values)


@dataclasses.dataclass(frozen=True)
class Space:
    """The settings that a search varies.

    Attributes:
        base: The settings of all trials.
        ranges: The range of each setting that is varied.
    """

    base: TrainConfig
    ranges: Mapping[str, Interval | Choices]

    @classmethod
    def parse(cls, base: TrainConfig, texts: Sequence[str]) -> Space:
        """Reads ranges, such as "learning_rate=1e-4..1e-2" and "scale=1+1,0.5+1.5".

        Raises:
            UserError: If a name is unknown or must not be varied, or a range does not suit its setting.
        """
        ranges: dict[str, Interval | Choices] = {}
        for text in texts:
            name, equals, wanted = text.partition("=")
            name = name.strip().removeprefix("--").replace("-", "_")
            given = argument("tune_over", text)
            if not equals or not wanted.strip():
                raise UserError(f"{given}: takes NAME=LOW{RANGE}HIGH or NAME=A{OR}B, such as learning_rate=1e-4..1e-2")
            _require_variable(name, given)
            if name in ranges:
                raise UserError(f"{given}: a second range of {name}; leave one out")
            is_range = RANGE in wanted and not _kinds(name) & {str, Path}  # paths may lead to the folder above
            ranges[name] = _interval(name, wanted, given) if is_range else _choices(name, wanted, given)
        space = cls(base, ranges)
        for name, text in zip(ranges, texts):
            space._require_suitable(name, argument("tune_over", text))
        return space

    @classmethod
    def usual(cls, base: TrainConfig) -> Space:
        """Returns the space that is searched where none is given, around the settings themselves."""
        return cls.parse(base, usual_texts(base))

    @property
    def texts(self) -> list[str]:
        """The ranges as `parse` reads them."""
        return [f"{name}={range_}" for name, range_ in self.ranges.items()]

    def config(self, params: Params) -> TrainConfig:
        """Returns the settings of a trial.

        Raises:
            UserError: If settings exclude each other.
        """
        return dataclasses.replace(self.base, **{name: self._value(name, param) for name, param in params.items()})

    def own(self) -> dict[str, Value]:
        """Returns the settings themselves, of those that are in their range."""
        found: dict[str, Value] = {}
        for name, range_ in self.ranges.items():
            value = _own(self.base, name)
            if isinstance(range_, Choices):
                found |= [(name, text) for text, choice in range_.values.items() if choice == value]
            elif value is not None and range_.low <= value <= range_.high:
                found[name] = value
        return found

    def _value(self, name: str, param: Value) -> Any:
        range_ = self.ranges[name]
        return range_.values[str(param)] if isinstance(range_, Choices) else param

    def _require_suitable(self, name: str, given: str) -> None:
        """Raises UserError if the settings of all trials do not go with a choice, or with an end of a range."""
        range_ = self.ranges[name]
        for param in range_.values if isinstance(range_, Choices) else (range_.low, range_.high):
            with about(given):
                self.config({name: param})


def usual_texts(base: TrainConfig) -> list[str]:
    """Returns the ranges around settings, by the names of what is worth a search most."""
    rate, scale, input_scale = _own(base, "learning_rate"), base.augmentation.scale, base.network.input_scale
    pairs = [(1.0, 1.0), (0.75, 1.5), (0.5, 1.5), (0.5, 2.0)]
    losses = [("cross_entropy",), ("cross_entropy", "dice"), ("cross_entropy", "lovasz")]
    texts = [
        f"learning_rate={rate / 10:.6g}{RANGE}{rate * 10:.6g}",
        f"scale={_listed([scale, *pairs])}",
        f"input_scale={input_scale / 2:.6g}{RANGE}{min(max(1.0, input_scale), 2 * input_scale):.6g}",
        f"loss={_listed([base.objective.loss, *losses])}",
    ]
    starts_from_weights = base.network.weights != "none" or base.network.init_from is not None
    if starts_from_weights and base.optimization.backbone_rate > 0:
        texts.append(f"backbone_rate=0.02{RANGE}1")
    return texts


def _listed(choices: Iterable[tuple]) -> str:
    return OR.join(dict.fromkeys(AND.join(as_words(choice)) for choice in choices))


def _own(base: TrainConfig, name: str) -> Any:
    """Returns a setting, also where the optimizer's default stands for None."""
    of_optimizer = {"learning_rate": base.optimization.peak_rate, "weight_decay": base.optimization.decay}
    return of_optimizer.get(name, getattr(base, name))


def _require_variable(name: str, given: str) -> None:
    if name in VARIABLE:
        return
    if name not in GROUP_OF:
        raise UserError(f"{given}: there is no setting {named_unknown([name], VARIABLE)}; {', '.join(VARIABLE)} vary")
    raise UserError(
        f"{given}: {name} is the same in all trials, lest their figures not be comparable; leave it out, and give "
        f"{argument(name)} itself"
    )


def _kinds(name: str) -> set[Any]:
    """Returns the types of a setting, without None."""
    kind = kinds_of(TrainConfig)[name]
    kinds = get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)
    return {*kinds} - {type(None)}


def _interval(name: str, text: str, given: str) -> Interval:
    kinds, ends = _kinds(name), text.split(RANGE)
    if not kinds <= {int, float}:
        such = AND.join(as_words(getattr(TrainConfig(), name)))
        raise UserError(f"{given}: {name} has no range from LOW to HIGH; give choices, such as {name}={such}{OR}...")
    kind = int if kinds == {int} else float
    try:
        low, high = map(kind, ends)
    except ValueError:
        number = "a whole number" if kind is int else "a number"
        raise UserError(f"{given}: takes {number}, {RANGE} and a greater one: {name}=LOW{RANGE}HIGH") from None
    if not low < high:
        raise UserError(f"{given}: the first end of a range is the less; write {name}={high:g}{RANGE}{low:g}")
    return Interval(low, high, kind is int)


def _choices(name: str, text: str, given: str) -> Choices:
    words = [word.strip() for word in text.split(OR)]
    if len(set(words)) < len(words):
        raise UserError(f"{given}: names a choice twice; name each once")
    values = {word: _parsed(name, word, given) for word in words}
    if len(values) < 2:
        raise UserError(f"{given}: is a single choice; give more, or leave it out and give {argument(name)} itself")
    return Choices(values)


def _parsed(name: str, word: str, given: str) -> Any:
    """Returns the value of a choice, by the rules of the command line."""
    group = type(getattr(TrainConfig(), GROUP_OF[name]))
    is_several = any(get_origin(kind) is tuple for kind in _kinds(name))
    words = word.split(AND) if is_several else [word.capitalize() if _kinds(name) == {bool} else word]
    with about(given):
        return getattr(parse_options(group, [option(name), *words]), name)
