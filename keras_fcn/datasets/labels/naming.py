"""How masks are called after their images."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from keras_fcn.datasets.foreign import foreign_format
from keras_fcn.errors import UserError

_MASK_ENDING = re.compile(
    r"(.+?)([_-](?i:masks?|labels?|gt|groundtruth|seg|segmentation|annotation)|_[LP]|\.(?i:jpe?g|png|tiff?|bmp|webp|gif|npy))"
)
"""Endings of a mask's name, after that of its image."""

_BREAKS = re.compile(r"([_\-. ]+|(?<=[^\W\d_])(?=\d))")
"""Where words of a name end: at blanks and the like, and before numbers."""


class UnpairedError(UserError):
    """Folders of images and masks none of which belong together by their names."""


def masks_of_images(images: Iterable[str], masks: Mapping[str, Path]) -> dict[str, Path]:
    """Returns masks by the names of their images: the same, or with an ending such as `_mask` or `.jpg`.

    Where no mask is called so, they are named by the only rule by which each of them has an image of its own.

    Args:
        images: The images' names.
        masks: Masks by their own names.

    Raises:
        UserError: If an image has two masks.
    """
    images, found = set(images), dict[str, Path]()
    for own, path in masks.items():
        bare = _MASK_ENDING.fullmatch(own) if own not in images else None
        name = bare[1] if bare and bare[1] in images else own
        if name in found:
            raise UserError(f"{path} and {found[name].name} are masks of the same image; rename or remove one")
        found[name] = path
    rule = naming_rule(images, masks) if not images & found.keys() else None
    return {image: masks[mask] for image, mask in _paired(*rule, images, masks).items()} if rule else found


def require_pairs(source: Path, images: dict[str, Path], masks: dict[str, Path]) -> list[str]:
    """Returns the names of the images that have a mask, in order.

    Raises:
        UserError: If there is none; `source` is the folder to name.
    """
    labelled = masks_of_images(images, masks)
    names = [name for name in images if name in labelled]
    if not names:
        both = f"{len(images)} images and {len(masks)} masks"
        such = _such_as(images, masks)
        fix = foreign_format(next(iter(masks.values()), source).parent) or "name each mask like its image"
        raise UnpairedError(f"{source}: none of its {both} have the same name{such}; {fix}")
    return names


def _such_as(images: dict[str, Path], masks: dict[str, Path]) -> str:
    names = [next(iter(files.values())).name for files in (images, masks) if files]
    return f" (such as {' and '.join(names)})" if len(names) > 1 else ""


def naming_note(images: Iterable[str], masks: Mapping[str, Path]) -> str:
    """Returns the rule by which `masks_of_images` found masks of other names, human-readable; mostly nothing."""
    images = set(images)
    is_usual = any(mask in images or ((bare := _MASK_ENDING.fullmatch(mask)) and bare[1] in images) for mask in masks)
    rule = None if is_usual else naming_rule(images, masks)
    return f"masks are called {rule[1]} where images are called {rule[0]}" if rule else ""


def naming_rule(images: Iterable[str], masks: Iterable[str]) -> tuple[str, str] | None:
    """Returns the texts around {name} in names of images and masks that give each mask an image of its own, or None.

    Args:
        images: Names, perhaps with folders.
        masks: Names, perhaps with folders.
    """
    images, masks = sorted(images), sorted(masks)
    if not images or len(masks) < 2:
        return None
    middle = masks[len(masks) // 2]
    image = max(images, key=lambda name: in_common(name, middle))
    texts = file_texts(file_of(image), file_of(middle))
    if texts is None or any("*" in text for text in texts):
        return None
    return texts if len(_paired(*texts, images, masks)) == len(masks) else None


def _paired(image_text: str, mask_text: str, images: Iterable[str], masks: Iterable[str]) -> dict[str, str]:
    """Returns masks by images where what {name} stands for is the same, once, and so are folders."""
    by_name = [
        [(key, name) for name in names if (key := _between(text, name)) is not None]
        for text, names in ((image_text, images), (mask_text, masks))
    ]
    of_image, of_mask = (dict(found) for found in by_name)
    if any(len(found) < len(pairs) for found, pairs in zip((of_image, of_mask), by_name)):
        return {}
    return {name: of_mask[key] for key, name in of_image.items() if key in of_mask}


def _between(text: str, name: str) -> tuple[str, str] | None:
    """Returns the folder of a name and what {name} stands for in it; None if the text does not fit."""
    start, end = text.split("{name}")
    folder, file = name[: -len(file_of(name))], file_of(name)
    is_fitting = len(file) > len(start) + len(end) and file.startswith(start) and file.endswith(end)
    return (folder, file[len(start) : len(file) - len(end)]) if is_fitting else None


def in_common(image: str, mask: str) -> int:
    """Returns how many letters the words have that two names begin and end with alike."""
    image, mask = file_of(image), file_of(mask)
    first, second = words_of(image), words_of(mask)
    start, end = common(first, second)
    return max(len("".join(second[:start] + second[len(second) - end :])), extends(mask, image) * len(image))


def file_of(name: str) -> str:
    """Returns a name without its folders."""
    return name.rpartition("/")[2]


def extends(mask: str, image: str) -> bool:
    """Returns whether a mask's name is its image's and letters, without a break between, as in 0001m."""
    return mask.startswith(image) and mask[len(image) :].isalpha()


def words_of(name: str) -> list[str]:
    """Returns the words of a name, and what stands between them."""
    return _BREAKS.split(name)


def common(first: Sequence[str], second: Sequence[str]) -> tuple[int, int]:
    """Returns how many items are the same at the beginning, and of the others at the end."""
    least = min(len(first), len(second))
    start = next((index for index in range(least) if first[index] != second[index]), least)
    end = next((index for index in range(least - start) if first[-1 - index] != second[-1 - index]), least - start)
    return start, end


def file_texts(image: str, mask: str) -> tuple[str, str] | None:
    """Returns the parts of patterns for names without suffix, None if these have no word in common."""
    first, second = words_of(image), words_of(mask)
    start, end = common(first, second)
    if not start and not end:
        return ("{name}", f"{{name}}{mask[len(image) :]}") if extends(mask, image) else None
    middles = [words[start : len(words) - end] for words in (first, second)]
    before, after = first[:start], first[len(first) - end :]
    if before and not before[-1].strip("_-. ") and (after or any(middles)):
        middles = [[before[-1], *middle] for middle in middles]
        before = before[:-1]
    if after and not after[0].strip("_-. "):
        middles = [[*middle, after[0]] for middle in middles]
        after = after[1:]
    texts = ["".join(middle) for middle in middles]
    if _are_numbers(*middles):  # of two images, rather than of an image and its mask
        return None
    if before and after:
        return f"{{name}}{texts[0]}*", f"{{name}}{texts[1]}*"
    if before:
        return f"{{name}}{texts[0]}", f"{{name}}{texts[1]}"
    return f"{texts[0]}{{name}}", f"{texts[1]}{{name}}"


def _are_numbers(first: Sequence[str], second: Sequence[str]) -> bool:
    """Returns whether what differs in two names are numbers, or begins with one."""
    words = [[word for word in middle if word.strip("_-. ")] for middle in (first, second)]
    numbers = [any(word.isdecimal() for word in middle) for middle in words]
    return all(numbers) or any(middle[0].isdecimal() for middle in words if middle)
