"""Images that belong together, as frames of a video do, and the division that leaves them together."""

from __future__ import annotations

import collections
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from keras_fcn.datasets.listing import expression_of, inside, normal_name
from keras_fcn.datasets.splits import VAL_FRACTION, bare_name, by_hash
from keras_fcn.errors import UserError, argument
from keras_fcn.system.files import read_lines
from keras_fcn.system.text import csv_rows, shown

_TABLE = re.compile(r"(.*\.csv)(?::(.+))?", re.IGNORECASE)


def group_images(group_by: str, root: Path, images: Sequence[Path]) -> dict[Path, str]:
    """Returns the group of each image.

    Args:
        group_by: A pattern of paths with {group}, * and **, an expression with (?P<group>...), or FILE.csv:COLUMN.
        root: The folder of the data set, in which paths begin.
        images: The images.

    Raises:
        UserError: If the pattern or table cannot be read, or an image has no group.
    """
    group_of = _reader(group_by, root)
    found = {image: group_of(image) for image in images}
    alone = [image for image, group in found.items() if not group]
    if alone:
        raise UserError(
            f"{argument('group_by', group_by)}: {len(alone)} of {len(images)} images have no group, such as "
            f"{inside(root, alone[0])} in {root}; give each one"
        )
    return {image: str(group) for image, group in found.items()}


def val_of_groups(group_of: Mapping[Path, str], images: Sequence[Path], group_by: str) -> tuple[set[Path], str]:
    """Returns the images that are for validation, and how they were chosen, human-readable.

    They are whole groups, chosen by their hashes: as many as a fifth of the images holds.

    Args:
        group_of: The group of each image, of those without mask, too.
        images: The images that have masks.
        group_by: As for `group_images`, for the words.

    Raises:
        UserError: If there is only one group.
    """
    sizes = group_sizes(group_of, images, group_by)
    room, chosen = max(1, round(VAL_FRACTION * len(images))), set()
    for group in by_hash(sizes):
        if sizes[group] <= room:
            chosen.add(group)
            room -= sizes[group]
    chosen = chosen or {min(by_hash(sizes), key=sizes.__getitem__)}
    note = (
        f"{sum(sizes[group] for group in chosen)} of the {len(images)} images are val: {len(chosen)} of {len(sizes)} "
        f"groups by {group_by}, chosen by their names ({shown(sorted(chosen))})"
    )
    return {image for image, group in group_of.items() if group in chosen}, note


def group_sizes(group_of: Mapping[Path, str], images: Sequence[Path], group_by: str) -> dict[str, int]:
    """Returns the number of images in each group.

    Args:
        group_of: The group of each image.
        images: The images that count.
        group_by: As for `group_images`, for the error message.

    Raises:
        UserError: If all images are of one group.
    """
    sizes = collections.Counter(group_of[image] for image in images)
    if len(sizes) < 2:
        raise UserError(
            f"{argument('group_by', group_by)}: all {len(images)} images are of one group, {next(iter(sizes))!r}, so "
            "one split would be empty; choose what tells groups apart"
        )
    return dict(sizes)


def _reader(group_by: str, root: Path) -> Callable[[Path], str | None]:
    """Returns a function from an image to its group, None without any."""
    if table := _TABLE.fullmatch(group_by):
        path = Path(table[1]) if Path(table[1]).is_file() else root / table[1]
        groups = _read_table(path, table[2])
        return lambda image: next((groups[end] for end in _ends(image.absolute().as_posix()) if end in groups), None)
    expression = re.compile(_expression(group_by), re.DOTALL)

    def match(image: Path) -> str | None:
        found = expression.search(normal_name(inside(root, image).as_posix()))
        return found["group"] if found else None

    return match


def _expression(group_by: str) -> str:
    """Returns the regular expression of a pattern, which matches the end of a path, with its suffix or without."""
    if "(?P<group>" in group_by:
        try:
            re.compile(group_by)
        except re.error as error:
            raise UserError(f"{argument('group_by', group_by)} is no regular expression ({error})") from None
        return group_by
    unknown = set(re.findall(r"\{[^{}/]*\}", group_by)) - {"{group}"}
    if unknown or group_by.count("{group}") != 1:
        wrong = f"{min(unknown)} is none of these" if unknown else "{group} must be there once"
        raise UserError(
            f"{argument('group_by')} takes a path with {{group}}, * and **, a regular expression with (?P<group>...), "
            f"or FILE.csv:COLUMN; {wrong}. Received: {group_by}"
        )
    return rf"(?:^|/){expression_of(normal_name(group_by))}(?:\.\w+)?$"


def _ends(path: str) -> list[str]:
    """Returns the ends of a path, the longest first, without the suffix of a picture."""
    parts = bare_name(normal_name(path)).replace("\\", "/").split("/")
    return ["/".join(parts[start:]) for start in range(len(parts))]


def _read_table(path: Path, column: str | None) -> dict[str, str]:
    """Returns the groups of images by their names or paths, without suffix.

    Raises:
        UserError: If the file cannot be read, has no such column, or an image is there in two groups.
    """
    lines = read_lines(path)
    rows = csv_rows(path, lines, delimiter=max(",;\t", key=lines[0].count))
    names = [name.strip() for name in rows[0]] if rows else []
    if column is None and len(names) == 2:
        column = names[1]
    if column not in names or len(names) < 2:
        number = "fewer" if len(names) < 2 else "more"
        wanted = f"has no column {column!r}" if column and len(names) > 1 else f"has {number} than two columns"
        raise UserError(
            f"{path}: {wanted}; it has {', '.join(names) or 'none'}, the first of which names the images: "
            f"{argument('group_by', f'{path}:COLUMN')}"
        )
    place, groups = names.index(column), dict[str, str]()
    for row in filter(any, rows[1:]):
        image, group = ((row[index].strip() if index < len(row) else "") for index in (0 if place else 1, place))
        key = _ends(image)[0]
        if groups.setdefault(key, group) != group:
            raise UserError(f"{path}: {image} is in the groups {groups[key]!r} and {group!r}; leave one of the lines")
    return groups
