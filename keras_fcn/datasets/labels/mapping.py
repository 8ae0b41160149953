"""Classes as wanted: several become one, some become void, some background."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from keras_fcn.datasets.labels.legend import is_void
from keras_fcn.errors import UserError, argument
from keras_fcn.images.classes import VOID_LABEL, ClassTable, split_names
from keras_fcn.runs.data_options import SourceOptions
from keras_fcn.system.options import named_unknown


@dataclasses.dataclass(frozen=True)
class ClassMapping:
    """What the classes of a data set become.

    Attributes:
        classes: The classes afterwards, in the order of the first of their ids, with its colour.
        ids: The id that each of the ids 0 to 255 becomes.
        note: The same in words.
    """

    classes: ClassTable
    ids: tuple[int, ...]
    note: str


def class_mapping(before: ClassTable, wanted: SourceOptions) -> ClassMapping:
    """Returns what the classes of a data set become.

    Args:
        before: The classes of the data set.
        wanted: Which of them to merge, to ignore and to drop.

    Raises:
        UserError: If there is no such class, one is named twice, two would have the same name, there is no background
            to drop into, or fewer than two classes are left.
    """
    merged = dict(_merged(text, before) for text in wanted.merge)
    _require_once(before, wanted, merged)
    name_of = {name: new for new, members in merged.items() for name in members}
    name_of |= dict.fromkeys(wanted.ignore_classes, "")
    name_of |= dict.fromkeys(wanted.drop, _background(before, wanted, name_of))
    names = [name_of.get(name, name) for name in before.names]
    left = list(dict.fromkeys(filter(None, names)))
    _require_own_names(before, merged, name_of)
    if len(left) < 2:
        kept = f"only {left[0]!r} is" if left else "none is"
        raise UserError(f"{_given(wanted)}: of {before.num_classes} classes, {kept} left; training needs two")
    colors = [before.colors[names.index(name)] for name in left]
    ids = [left.index(name) if name else VOID_LABEL for name in names]
    classes = ClassTable(tuple(left), tuple(colors), before.void_color)
    ids += range(before.num_classes, VOID_LABEL + 1)  # those that no mask holds
    return ClassMapping(classes, tuple(ids), _note(before, merged, wanted, name_of, len(left)))


def _merged(text: str, classes: ClassTable) -> tuple[str, tuple[str, ...]]:
    """Returns the new name and the classes that "A+B=NEW" means.

    Raises:
        UserError: If it is of another form, its new name means void, or there is no such class.
    """
    before, equals, new = text.rpartition("=")
    if not equals or not new.strip() or not before.strip():
        raise UserError(f"{argument('merge')} takes classes and the name that they get: A+B=NEW. Received: {text}")
    if is_void(new.strip()):
        raise UserError(f"{argument('merge')} makes {new.strip()!r} a class; {argument('ignore_classes')} makes void")
    members = split_names(before, "+", classes.names)
    _require_known("merge", members, classes)
    return new.strip(), tuple(members)


def _require_known(option: str, wanted: Sequence[str], classes: ClassTable) -> None:
    if unknown := [name for name in wanted if name not in classes.names]:
        raise UserError(
            f"{argument(option)}: the data have no class {named_unknown(unknown, classes.names)}; there are "
            f"{', '.join(classes.names)}"
        )


def _require_once(before: ClassTable, wanted: SourceOptions, merged: dict[str, tuple[str, ...]]) -> None:
    """Raises UserError if a class is named twice, or not there, or a new name."""
    given = [("merge", name) for members in merged.values() for name in members]
    if len(merged) < len(wanted.merge):
        news = [text.rpartition("=")[2].strip() for text in wanted.merge]
        twice = next(name for name in news if news.count(name) > 1)
        raise UserError(
            f"{argument('merge')} makes {twice!r} more than once; name all of its classes in one: A+B={twice}"
        )
    for option in ("ignore_classes", "drop"):
        _require_known(option, getattr(wanted, option), before)
        given += [(option, name) for name in getattr(wanted, option)]
    first: dict[str, str] = {}
    for option, name in given:
        if name in first:
            both = dict.fromkeys((first[name], option))
            where = " and ".join(argument(each) for each in both)
            raise UserError(f"{where}: the class {name!r} is named more than once; name it in one place")
        first[name] = option


def _background(before: ClassTable, wanted: SourceOptions, name_of: dict[str, str]) -> str:
    """Returns the name of what is dropped; raises UserError if something is and there is no background."""
    if not wanted.drop:
        return ""
    background = None if before.background is None else before.names[before.background]
    if background is None or background in wanted.drop or not name_of.get(background, background):
        raise UserError(
            f"{argument('drop')} makes pixels background, which is no class here; {argument('ignore_classes')} makes "
            f"them void"
        )
    return name_of.get(background, background)


def _require_own_names(before: ClassTable, merged: dict[str, tuple[str, ...]], name_of: dict[str, str]) -> None:
    for new, members in merged.items():
        if new in before.names and new not in name_of:
            more = "+".join((*members, new))
            raise UserError(
                f"{argument('merge')}: {new!r} is another class of the data; merge it, too ({more}={new}), or choose "
                "another name"
            )


def _given(wanted: SourceOptions) -> str:
    return " and ".join(argument(name) for name in ("merge", "ignore_classes", "drop") if getattr(wanted, name))


def _note(
    before: ClassTable, merged: dict[str, tuple[str, ...]], wanted: SourceOptions, name_of: dict[str, str], left: int
) -> str:
    parts = [f"{' + '.join(members)} {'is' if len(members) == 1 else 'are'} {new!r}" for new, members in merged.items()]
    for names, what in ((wanted.ignore_classes, "void"), (wanted.drop, name_of.get("".join(wanted.drop[:1]), ""))):
        parts += [f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} {what}"] if names else []
    return f"classes as wanted: {'; '.join(parts)}; {left} of {before.num_classes} are left"
