"""Which channels of images are read: red, green and blue, all of a certain number, or some by their numbers."""

from __future__ import annotations

import dataclasses
import re
from functools import cached_property
from pathlib import Path

import numpy as np

from keras_fcn.errors import DataError, UserError, argument

_FORM = re.compile(r"[1-9]\d{0,2}(,[1-9]\d{0,2})*,?", re.ASCII)


@dataclasses.dataclass(frozen=True)
class Channels:
    """The channels that are read of every image.

    Args:
        text: "3": red, green and blue of any image, grey ones included. Another number: images have so many channels,
            all of which are read. Numbers with commas, as in "1,2,3,8" or "4,": these of a file, counted from 1.

    Raises:
        UserError: If the text is none of these.
    """

    text: str = "3"

    def __post_init__(self) -> None:
        if not _FORM.fullmatch(self.text) or len(set(self._numbers)) < len(self._numbers):
            wanted = "takes a number of channels, such as 4, or the numbers of those to read, such as 1,2,3,8"
            raise UserError(f"{argument('channels')} {wanted} (only the fourth: 4,), each once. Received: {self.text}")

    @cached_property
    def _numbers(self) -> list[int]:
        return [int(number) for number in self.text.split(",") if number]

    @property
    def is_rgb(self) -> bool:
        """Whether images are read as red, green and blue, whatever they hold."""
        return self.text == "3"

    @property
    def count(self) -> int:
        """The number of channels that are read."""
        return len(self._numbers) if "," in self.text else self._numbers[0]

    def chosen(self, path: str | Path, have: int) -> list[int]:
        """Returns the places, from 0, of the channels to read of a file that has `have` of them.

        Raises:
            DataError: If it has others.
        """
        if "," not in self.text and have != self.count:
            read = (
                "red, green and blue are read"
                if self.is_rgb
                else f"{argument('channels', self.text)} is for {self.count}"
            )
            fix = f"; {argument('channels', str(have))} would read these" if have != 3 else ""
            raise DataError("channels", f"{path}: has {_counted(have)}, {read}{fix}")
        if "," in self.text and max(self._numbers) > have:
            which = f"there is no {max(self._numbers)} of {argument('channels', self.text)}"
            raise DataError("channels", f"{path}: has {_counted(have)}, {which}; name channels from 1 to {have}")
        return [number - 1 for number in self._numbers] if "," in self.text else [*range(have)]

    def require_rgb(self, what: str) -> None:
        """Raises UserError unless images are of three channels.

        Args:
            what: What is for these alone, for the message.
        """
        if self.count != 3:
            raise UserError(f"{what} is for images of three channels, the model takes {self.count}")

    def described(self) -> str:
        """Returns which channels are read, human-readable."""
        if self.is_rgb:
            return "red, green and blue"
        if "," in self.text:
            return f"channels {', '.join(map(str, self._numbers))}" if self.count > 1 else f"channel {self._numbers[0]}"
        return f"{self.count} channels" if self.count > 1 else "one channel"


def _counted(number: int) -> str:
    return f"{number} channel{'s' * (number > 1)}"


RGB = Channels()
"""Red, green and blue."""


def shown(pixels: np.ndarray) -> np.ndarray:
    """Returns an image of any number of channels as a picture shows it, uint8 [..., 3].

    Of three and more it is the first three, for red, green and blue; of fewer the first, as grey.

    Args:
        pixels: uint8 [..., channels].
    """
    if pixels.shape[-1] == 3:
        return pixels
    first = pixels[..., :3] if pixels.shape[-1] > 3 else np.repeat(pixels[..., :1], 3, axis=-1)
    return np.ascontiguousarray(first)
