"""Finding the patterns that pair all pictures of a folder in no known layout, one to one."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from keras_fcn.datasets.layouts.folders import IMAGES, MASKS
from keras_fcn.datasets.layouts.patterns.matching import Matched, Patterns
from keras_fcn.datasets.layouts.patterns.proposing import proposed, with_any_suffix
from keras_fcn.datasets.listing import inside
from keras_fcn.datasets.splits import meant_split
from keras_fcn.errors import DataError, UserError
from keras_fcn.images.label_files.content import LabelContent, label_content
from keras_fcn.images.label_files.opening import MASK_SUFFIXES
from keras_fcn.images.photos import IMAGE_SUFFIXES
from keras_fcn.system.files import walk_files

_MASKS, _SHADES, _PHOTOS = range(3)
_MOST_VALUES, _SHOWN = 64, 6

_NO_CLASSES = re.compile(
    r"instance|panoptic|depth|disparity|overlay|visuali[sz]|(?<![a-z])(vis|viz|flow|normals?|edges?|confidence)(?![a-z])",
    re.IGNORECASE,
)
"""Words in the paths of pictures that show something other than classes."""

_DRAWN = re.compile(r"overlay|visuali[sz]|(?<![a-z])(vis|viz)(?![a-z])", re.IGNORECASE)
"""Words in the paths of pictures that show image and classes together, and are neither."""

Fits = list[tuple[Patterns, Matched]]


def search_patterns(root: Path) -> tuple[Patterns | None, str]:
    """Returns the only patterns that pair all pictures of a folder, and how they do; or None, and what comes near.

    Images of a split that has no masks at all, such as test, are left out.

    Raises:
        UserError: If several patterns fit: a mask may be the instances, the classes or another version of these; or the
            names of the masks say that they show something other than classes.
    """
    paths = tuple(path for path in walk_files(root) if path.suffix.lower() in (*IMAGE_SUFFIXES, *MASK_SUFFIXES))
    return _searched(root, paths)


@functools.lru_cache(maxsize=2)
def _searched(root: Path, paths: tuple[Path, ...]) -> tuple[Patterns | None, str]:
    matches = _matches(root, paths, proposed(root, paths))
    fits, is_complete = _fits(root, paths, matches)
    if not is_complete:
        matches += _matches(root, paths, (each for patterns, _ in matches for each in with_any_suffix(patterns)))
        fits, is_complete = _fits(root, paths, matches)
    sound = [fit for fit in fits if _kind(_masks(fit[1])) == _MASKS]
    if len(fits) > 1 and (objects := _masks_of_objects(root, paths)):
        return None, objects
    if sound and len(fits) > 1:
        listed = "; ".join(f"{patterns} ({_described(matched)})" for patterns, matched in fits[:_SHOWN])
        raise UserError(f"{root}: is in no known layout, and {len(fits)} pairs of patterns fit; choose one: {listed}")
    if sound and is_complete:
        patterns, matched = sound[0]
        if word := _NO_CLASSES.search(patterns.masks.text):
            raise UserError(
                f"{root}: is in no known layout, and what pairs with its images seems to show {word[0]}, not classes; "
                f"if it does show classes, give {patterns} ({_described(matched)})"
            )
        count, without = len(matched.pairs), _left_out(root, paths, matched)
        return patterns, (
            f"no known layout, but these patterns pair all {count} images with {count} masks{without}: {patterns}"
        )
    if objects := _masks_of_objects(root, paths):
        return None, objects
    others = tuple(path for path in paths if not _DRAWN.search(inside(root, path).as_posix()))
    if 0 < len(others) < len(paths):
        found, note = _searched(root, others)
        if found is not None:
            drawn = next(path for path in paths if path not in others)
            return found, f"{note}; {len(paths) - len(others)} pictures such as {inside(root, drawn)} are left out"
    near = [fit for fit in matches if len(fit[1].pairs) > 1 and _kind(_masks(fit[1])) == _MASKS]
    if not near:
        return None, ""
    patterns, matched = max(near, key=lambda fit: len(fit[1].pairs))
    count = 2 * len(matched.pairs)
    return None, f"{patterns} would pair {count} of its {len(paths)} pictures; give that if the others are no data"


def _matches(root: Path, paths: Sequence[Path], proposals: Iterable[Patterns]) -> Fits:
    """Returns the patterns that pair pictures."""
    found = ((each, _matched(each, root, paths)) for each in proposals)
    return [(each, matched) for each, matched in found if matched]


def _fits(root: Path, paths: Sequence[Path], matches: Fits) -> tuple[Fits, bool]:
    """Returns the patterns that leave out none of the files that they match, and whether they pair all pictures."""
    whole = []
    for patterns, matched in matches:
        splits = _splits(root, _used(matched))
        alone = [file.path for file in (*matched.images, *matched.masks)]
        if (
            len(matched.pairs) > 1
            and not matched.masks
            and all(_is_of_other_split(root, path, splits) for path in alone)
        ):
            whole.append((patterns, matched))
    fits = _of_photos(_different(whole))
    complete = [fit for fit in fits if _leaves_no_masks(root, paths, fit[1])]
    return complete or fits, bool(complete)


def _leaves_no_masks(root: Path, paths: Sequence[Path], matched: Matched) -> bool:
    """Returns whether pictures that patterns do not pair are images of splits that have no masks, all of them."""
    used = _used(matched)
    splits, unused = _splits(root, used), dict[Path, list[Path]]()
    for path in paths:
        if path not in used:
            if not _is_of_other_split(root, path, splits):
                return False
            unused.setdefault(path.parent, []).append(path)
    return not any(_kind([path]) == _MASKS for files in unused.values() for path in files[:: len(files) // 2 + 1])


def _used(matched: Matched) -> set[Path]:
    return {file.path for pair in matched.pairs for file in pair}


def _left_out(root: Path, paths: Sequence[Path], matched: Matched) -> str:
    """Returns how many images of which splits have no masks; nothing if there are none."""
    used = _used(matched)
    splits = [split for path in paths if path not in used and (split := _split_of(root, path))]
    return f" ({len(splits)} images of {', '.join(sorted({*splits}))} have none and are left out)" if splits else ""


def _splits(root: Path, paths: set[Path]) -> set[str | None]:
    return {_split_of(root, path) for path in paths}


def _is_of_other_split(root: Path, path: Path, splits: set[str | None]) -> bool:
    return (split := _split_of(root, path)) is not None and split not in splits


def _split_of(root: Path, path: Path) -> str | None:
    """Returns the split that a word of a path names."""
    words = re.split(r"[_\-. /]+", inside(root, path).as_posix())
    return next((split for word in words if (split := meant_split(word))), None)


def _masks_of_objects(root: Path, paths: Sequence[Path]) -> str:
    """Returns that images have a folder of masks each, which show one object each; nothing if it is not so."""
    of_folder: dict[Path, list[Path]] = {}
    for path in paths:
        of_folder.setdefault(path.parent, []).append(path)
    stems = {path.stem: path for path in paths}
    found = []
    for folder, files in of_folder.items():
        beside = [of_folder.get(folder.with_name(name), []) for name in IMAGES] if folder.name in MASKS else []
        image = next((images[0] for images in beside if len(images) == 1), stems.get(folder.name))
        if image is not None and len(files) > 1 and folder not in image.parents:
            found.append((len(files), folder, image))
    if len(found) < 2:
        return ""
    count, folder, image = max(found)
    return (
        f"{len(found)} images have a folder of masks each, such as {inside(root, folder)} with {count} for "
        f"{inside(root, image)}: masks of single objects; paint those of each into one PNG of class ids"
    )


def _matched(patterns: Patterns, root: Path, paths: Sequence[Path]) -> Matched | None:
    try:
        matched = patterns.matched(root, paths)
    except UserError:
        return None
    return matched if matched.pairs else None


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
    found = []
    for index in sorted({0, len(paths) // 2, len(paths) - 1}):
        with contextlib.suppress(DataError):
            found.append(label_content(paths[index], is_exact=False))
    return found


def _described(matched: Matched) -> str:
    """Returns how many pairs there are, and what some of the masks hold."""
    contents = _some_contents(_masks(matched))
    colors = len({color for content in contents for color in content.colors})
    values = sorted({value for content in contents for value in content.values})
    holds = f"{colors} colours" if colors else f"{len(values)} values up to {max(values, default=0)}"
    return f"{len(matched.pairs)} pairs; masks hold {holds if contents else 'what is no class id'}"
