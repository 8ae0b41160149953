"""Finding the patterns that pair all pictures of a folder in no known layout, one to one."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from keras_fcn.datasets.labels.survey import sound_contents
from keras_fcn.datasets.layouts.patterns.matching import Matched, Patterns
from keras_fcn.datasets.listing import MASK_SUFFIXES, normal_name
from keras_fcn.datasets.splits import is_split
from keras_fcn.errors import UserError
from keras_fcn.images.label_content import LabelContent
from keras_fcn.images.photos import IMAGE_SUFFIXES
from keras_fcn.system.files import walk_files

_MASKS, _SHADES, _PHOTOS = range(3)
_MOST_GROUPS, _FEW, _MOST_VALUES, _SHOWN = 40, 8, 64, 6

_BREAKS = re.compile(r"([_\-. ]+|(?<=[^\W\d_])(?=\d))")

Fits = list[tuple[Patterns, Matched]]


def search_patterns(root: Path) -> tuple[Patterns | None, str]:
    """Returns the only patterns that pair all pictures of a folder, and how they do; or None, and what comes near.

    Raises:
        UserError: If several patterns fit: a mask may be the instances, the classes or another version of these.
    """
    paths = tuple(path for path in walk_files(root) if path.suffix.lower() in IMAGE_SUFFIXES)
    return _searched(root, paths)


@functools.lru_cache(maxsize=2)
def _searched(root: Path, paths: tuple[Path, ...]) -> tuple[Patterns | None, str]:
    matches = [(each, matched) for each in _proposed(root, paths) if (matched := _matched(each, root, paths))]
    fits = _of_photos(_different([fit for fit in matches if not fit[1].images and not fit[1].masks]))
    if complete := [fit for fit in fits if 2 * len(fit[1].pairs) == len(paths)]:
        fits = complete
    used = {file.path for _, matched in fits for pair in matched.pairs for file in pair}
    sound = [fit for fit in fits if _kind(_masks(fit[1])) == _MASKS]
    if sound and len(fits) == 1 and len(used) == len(paths):
        patterns, count = sound[0][0], len(sound[0][1].pairs)
        return patterns, f"no known layout, but these patterns pair all {count} images with {count} masks: {patterns}"
    if sound and len(fits) > 1:
        listed = "; ".join(f"{patterns} ({_described(matched)})" for patterns, matched in fits[:_SHOWN])
        raise UserError(f"{root}: is in no known layout, and {len(fits)} pairs of patterns fit; choose one: {listed}")
    near = [fit for fit in matches if _kind(_masks(fit[1])) == _MASKS]
    if not near:
        return None, ""
    patterns, matched = max(near, key=lambda fit: len(fit[1].pairs))
    count = 2 * len(matched.pairs)
    return None, f"{patterns} would pair {count} of its {len(paths)} pictures; give that if the others are no data"


def _matched(patterns: Patterns, root: Path, paths: Sequence[Path]) -> Matched | None:
    try:
        matched = patterns.matched(root, paths)
    except UserError:
        return None
    return matched if len(matched.pairs) > 1 else None


def _different(fits: Fits) -> Fits:
    """Returns the patterns without those that pair no files but such as others pair, too."""
    kept: Fits = []
    found: list[set[tuple[Path, Path]]] = []
    for patterns, matched in sorted(fits, key=lambda fit: -len(fit[1].pairs)):
        pairs = {(image.path, mask.path) for image, mask in matched.pairs}
        if not any(pairs <= others for others in found):
            found.append(pairs)
            kept.append((patterns, matched))
    return kept


def _of_photos(fits: Fits) -> Fits:
    """Returns the patterns whose images are photographs rather than masks, which pair with one another, too."""
    kinds = [_kind([image.path for image, _ in matched.pairs]) for _, matched in fits]
    return [fit for fit, kind in zip(fits, kinds) if kind == max(kinds) and _kind(_masks(fit[1])) != _PHOTOS]


def _masks(matched: Matched) -> list[Path]:
    return [mask.path for _, mask in matched.pairs]


def _kind(paths: Sequence[Path]) -> int:
    """Returns what some of these pictures hold: many colours, many shades or ids, or as few as masks of classes."""
    contents = _some_contents(paths)
    if any(len(each.colors) > _MOST_VALUES for each in contents):
        return _PHOTOS
    return _SHADES if not contents or any(len(each.values) > _MOST_VALUES for each in contents) else _MASKS


def _some_contents(paths: Sequence[Path]) -> list[LabelContent]:
    """Returns what the first, the last, and a picture between hold."""
    return list(sound_contents([paths[index] for index in sorted({0, len(paths) // 2, len(paths) - 1})]))


def _described(matched: Matched) -> str:
    """Returns how many pairs there are, and what some of the masks hold."""
    contents = _some_contents(_masks(matched))
    colors = len({color for content in contents for color in content.colors})
    values = sorted({value for content in contents for value in content.values})
    holds = f"{colors} colours" if colors else f"{len(values)} values up to {max(values, default=0)}"
    return f"{len(matched.pairs)} pairs; masks hold {holds if contents else 'what is no class id'}"


def _proposed(root: Path, paths: Sequence[Path]) -> Iterator[Patterns]:
    """Yields patterns that pair some pictures of different folders or names, each once."""
    names = [normal_name(path.relative_to(root).as_posix()) for path in paths]
    groups = _groups(names)
    if len(groups) > _MOST_GROUPS:  # no data set, or one that needs a person
        return
    seen = set[tuple[str, str]]()
    for masks, images in itertools.product(groups, groups):
        mask = masks[len(masks) // 2]
        if not mask.lower().endswith(MASK_SUFFIXES):
            continue
        image = _partner(mask, images)
        for texts in _texts(image, mask) if image else ():
            if texts not in seen and texts[0] != texts[1]:
                seen.add(texts)
                yield _patterns(*texts)


def _groups(names: Sequence[str]) -> list[list[str]]:
    """Returns names by what files of one kind have in common: folders, suffix, and the first and last word."""
    features = [_features(name) for name in names]
    values: dict[int, set[str]] = {}
    for feature in features:
        for place, text in feature.items():
            values.setdefault(place, set()).add(text)
    groups: dict[tuple, list[str]] = {}
    for name, feature in zip(names, features):
        key = tuple((place, text) for place, text in feature.items() if len(values[place]) <= _FEW)
        groups.setdefault(key, []).append(name)
    return list(groups.values())


def _features(name: str) -> dict[int, str]:
    *folders, file = name.split("/")
    stem, _, suffix = file.rpartition(".")
    words = [re.sub(r"\d+", "#", word) for word in _BREAKS.split(stem)]
    about_name = {-1: suffix.lower(), -2: words[0], -3: words[-1], -4: str(len(words))}
    return {place: _with_split(folder) for place, folder in enumerate(folders)} | about_name


def _patterns(images: str, masks: str) -> Patterns:
    patterns = Patterns.given(images, masks)
    assert patterns is not None
    return patterns


def _partner(mask: str, images: Sequence[str]) -> str | None:
    """Returns the image whose name has most in common with a mask's; None without a word in common."""
    words, folders = _BREAKS.split(_stem(mask)), mask.split("/")[:-1]

    def common(image: str) -> tuple[int, int]:
        start, end = _common(_BREAKS.split(_stem(image)), words)
        same = sum(first == second for first, second in zip(image.split("/")[:-1], folders))
        return len("".join(words[:start] + words[len(words) - end :])), same

    best = max((image for image in images if image != mask), key=common, default=None)
    alike = best is not None and (common(best)[0] or (folders and best.split("/")[:-1] == folders))
    return best if alike else None


def _stem(name: str) -> str:
    return name.rpartition("/")[2].rpartition(".")[0]


def _common(first: Sequence[str], second: Sequence[str]) -> tuple[int, int]:
    """Returns how many items are the same at the beginning, and of the others at the end."""
    least = min(len(first), len(second))
    start = next((index for index in range(least) if first[index] != second[index]), least)
    end = next((index for index in range(least - start) if first[-1 - index] != second[-1 - index]), least - start)
    return start, end


def _texts(image: str, mask: str) -> Iterator[tuple[str, str]]:
    """Yields the texts of patterns that match an image and its mask: as they are, with * for folders, and with **."""
    (image_file, image_suffix), (mask_file, mask_suffix) = (
        name.rpartition("/")[2].rsplit(".", 1) for name in (image, mask)
    )
    files = _file_texts(image_file, mask_file)
    folders = [[_with_split(part) for part in name.split("/")[:-1]] for name in (image, mask)]
    if files is None:
        if not folders[0] or folders[0] != folders[1] or "{" in folders[0][-1]:
            return
        files, folders = (image_file, mask_file), [[*parts[:-1], "{name}"] for parts in folders]
    start, end = _common(*folders)
    for kind in ("", "*", "**"):
        texts = []
        for parts, file, suffix in zip(folders, files, (image_suffix, mask_suffix)):
            same = [index < start or index >= len(parts) - end for index in range(len(parts))]
            if len(folders[0]) == len(folders[1]):
                same = [a == b for a, b in zip(*folders)]
            written = _generalized(parts, same, kind)
            texts.append("/".join([*written, f"{file}.{suffix}"]))
        yield texts[0], texts[1]


def _generalized(parts: Sequence[str], same: Sequence[bool], kind: str) -> list[str]:
    """Returns folders with * for those that are the same in an image and its mask, or ** for any number of them."""
    if kind != "**":
        return [kind if kind and is_same and "{" not in part else part for part, is_same in zip(parts, same)]
    found: list[str] = []
    for part, is_same in zip(parts, same):
        new = "**" if is_same and "{" not in part else part
        found += [] if new == "**" and found[-1:] == ["**"] else [new]
    return found if "**" in found else [*found, "**"]


def _file_texts(image: str, mask: str) -> tuple[str, str] | None:
    """Returns the parts of patterns for names without suffix, None if these have no word in common."""
    first, second = _BREAKS.split(image), _BREAKS.split(mask)
    start, end = _common(first, second)
    if not start and not end:
        return None
    middles = [words[start : len(words) - end] for words in (first, second)]
    before, after = first[:start], first[len(first) - end :]
    if before and not before[-1].strip("_-. ") and (after or any(middles)):
        middles = [[before[-1], *middle] for middle in middles]
        before = before[:-1]
    if after and not after[0].strip("_-. "):
        middles = [[*middle, after[0]] for middle in middles]
        after = after[1:]
    texts = ["".join(middle) for middle in middles]
    if any(word.isdecimal() for middle in middles for word in middle):  # two images, rather than an image and its mask
        return None
    if before and after:
        return f"{{name}}{texts[0]}*", f"{{name}}{texts[1]}*"
    if before:
        return f"{{name}}{texts[0]}", f"{{name}}{texts[1]}"
    return f"{texts[0]}{{name}}", f"{texts[1]}{{name}}"


def _with_split(folder: str) -> str:
    """Returns a folder's name, or several with / between, with {split} for the first word that names a split."""
    words = re.split(r"([_\-. /]+)", folder)
    return "".join("{split}" if is_split(word) else word for word in words)
