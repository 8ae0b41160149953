"""Reading videos and image sequences frame by frame, and writing H.264, with PyAV."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from keras_fcn.errors import UserError

_QUALITY = {"crf": "20", "preset": "veryfast"}
"""Visually almost lossless, and faster than the networks."""

_REPLACE = "replace the file, or leave it out"

_BT709 = 1
"""The number of the colour space of HDTV in H.264 (ITU-T H.273)."""


class VideoReader:
    """Reads a video; a context manager.

    Args:
        location: A file, or a numbered sequence of images such as `frame_%04d.png`.
        rate: Frames per second of a sequence.

    Attributes:
        rate: Frames per second, the mean over the video.
        time_base: Seconds of one unit of time.
        frame_count: Number of frames by the header; 0 if unknown.

    Raises:
        UserError: If the video cannot be read.
    """

    def __init__(self, location: str, rate: float = 25.0) -> None:
        import av

        self._location = location
        options = {}
        if re.search(r"%0?\d*d", location):
            options = {"start_number": str(_first_number(Path(location))), "framerate": str(rate)}
        with self._explained():
            self._container = av.open(location, options=options)
        if not self._container.streams.video:
            self._container.close()
            raise UserError(f"{location}: cannot be decoded (it has no video stream); {_REPLACE}")
        stream = self._container.streams.video[0]
        stream.thread_type = "AUTO"
        self.rate = Fraction(stream.average_rate or stream.guessed_rate or 25)
        self.time_base = Fraction(stream.time_base)
        self.frame_count = stream.frames

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *_) -> None:
        self._container.close()

    def frames(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yields the time of each frame in units of `time_base` from the first, and the frame upright, uint8 [H, W, 3].

        Raises:
            UserError: If the file is damaged.
        """
        first, last = None, -1
        with self._explained():
            for frame in self._container.decode(video=0):
                time = last + 1 if frame.pts is None else frame.pts
                first = time if first is None else first
                last = max(time - first, last + 1)  # damaged videos may repeat a time
                image = frame.to_ndarray(format="rgb24")
                yield last, np.ascontiguousarray(np.rot90(image, round(frame.rotation / 90) % 4))

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        import av

        try:
            yield
        except (av.FFmpegError, OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UserError(f"{self._location}: cannot be decoded ({reason}); {_REPLACE}") from None


class VideoWriter:
    """Writes a video of H.264 in an MP4 file; a context manager.

    Videos of odd size are 4:4:4, which not every player decodes.

    Args:
        path: The file.
        size: Height and width.
        rate: Frames per second.
        time_base: Seconds of one unit of time.
    """

    def __init__(self, path: Path, size: tuple[int, int], rate: Fraction, time_base: Fraction) -> None:
        import av

        self._container = av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})
        stream = self._container.add_stream("libx264", rate=rate, options=_QUALITY)
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p" if size[0] % 2 == size[1] % 2 == 0 else "yuv444p"
        stream.codec_context.time_base = time_base
        stream.codec_context.colorspace = stream.codec_context.color_primaries = _BT709
        stream.codec_context.color_trc = _BT709
        self._stream, self._time_base = stream, time_base

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind: object, *_) -> None:
        if kind is None:
            self._mux(None)
        self._container.close()

    def write(self, time: int, image: np.ndarray) -> None:
        """Appends a frame.

        Args:
            time: Time of the frame, in units of the time base; later than the frame before.
            image: uint8 [H, W, 3].
        """
        import av

        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        frame = frame.reformat(format=self._stream.pix_fmt, dst_colorspace="ITU709")
        frame.pts, frame.time_base = time, self._time_base
        self._mux(frame)

    def _mux(self, frame: Any) -> None:
        for packet in self._stream.encode(frame):
            self._container.mux(packet)


def _first_number(pattern: Path) -> int:
    """Returns the lowest number of the images that match a pattern such as `frame_%04d.png`."""
    before, after = re.split(r"%0?\d*d", pattern.name, maxsplit=1)
    fitting = re.compile(re.escape(before) + r"(\d+)" + re.escape(after))
    numbers = [int(found[1]) for file in pattern.parent.iterdir() if (found := fitting.fullmatch(file.name))]
    if not numbers:
        raise UserError(f"{pattern}: no image has such a name; frame_%04d.png means frame_0001.png and those after it")
    return min(numbers)
