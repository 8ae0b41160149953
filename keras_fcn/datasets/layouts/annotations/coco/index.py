"""Which objects a JSON file of COCO's has of each image: kept in the cache, since to read 100 MB takes seconds."""

from __future__ import annotations

import array
import functools
import hashlib
import json
import pickle
import threading
from pathlib import Path
from typing import Any

from keras_fcn.datasets.layouts.annotations.coco.scanning import key_of, scan
from keras_fcn.datasets.layouts.annotations.common.cache import Later, load_listing, store_listing
from keras_fcn.errors import DataError

_VERSION = 1  # another one where the same file gives another listing than before


def list_objects(path: Path, ids: dict[int, int]) -> tuple[list[dict], dict[Any, Later], list[DataError]]:
    """Returns the images of a file, the objects of each sound one by its id, and faults.

    Objects are read when they are drawn. Of a file that was listed before, by the hash of its content, nothing is read.

    Args:
        path: The file.
        ids: The class id of each category.

    Raises:
        UserError: If it is no JSON of COCO's, or the cache cannot be written.
    """
    index = _Index(path, ids)
    with path.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    key = hashlib.sha256(repr((_VERSION, content, sorted(ids.items()))).encode()).hexdigest()
    listing = load_listing(key)
    faults: list[DataError] = []
    if listing is None:
        images, digests, faults = index.scanned()
        listing = [images, [[image, digest] for image, digest in digests.items()]]
        if not faults:
            store_listing(key, listing)
    images, digests = listing
    return images, {image: Later(digest, functools.partial(index.read, image)) for image, digest in digests}, faults


class _Index:
    """Where the objects of each image are in a file.

    Args:
        path: The file.
        ids: The class id of each category.
    """

    def __init__(self, path: Path, ids: dict[int, int]) -> None:
        self._path, self._ids = path, ids
        self._places: dict[Any, array.array] | None = None
        self._lock = threading.Lock()

    def scanned(self) -> tuple[list[dict], dict[Any, str], list[DataError]]:
        """Returns the images, a hash of the objects of each sound one, empty for none, and faults."""
        places: dict[Any, array.array] = {}
        digests: dict[Any, bytes] = {}
        faulty = dict[Any, list[DataError]]()

        def take(entry: dict, start: int, end: int) -> None:
            image, category = key_of(entry, "image_id"), key_of(entry, "category_id")
            places.setdefault(image, array.array("q")).extend((start, end))
            if category not in self._ids:
                fault = self._unknown("category", entry, category)
                faulty.setdefault(image, []).append(fault)
            shape = pickle.dumps((self._ids.get(category), entry.get("segmentation")), 5)  # type: ignore[arg-type]
            digests[image] = hashlib.sha256(digests.get(image, b"") + shape).digest()

        images = scan(self._path, take)
        known = {image["id"] for image in images}
        faults = [fault for image in faulty if image in known for fault in faulty[image]]
        faults += [
            self._unknown("image", entry, image)
            for image in sorted(places.keys() - known, key=str)
            for entry in self._entries(places[image])
        ]
        self._places = places
        sound = [image["id"] for image in images if image["id"] not in faulty]
        return images, {image: digests.get(image, b"").hex() for image in sound}, faults

    def _unknown(self, what: str, entry: dict, key: Any) -> DataError:
        source = f"{self._path}: annotation {entry.get('id')}"
        return DataError(f"unknown {what}", f"{source}: there is no {what} {key!r}; add it, or remove the annotation")

    def read(self, image: Any) -> list[tuple[int, Any]]:
        """Returns class and segmentation of each object of a sound image."""
        with self._lock:
            if self._places is None:
                self.scanned()
        entries = self._entries((self._places or {}).get(image, array.array("q")))
        return [(self._ids[entry["category_id"]], entry.get("segmentation")) for entry in entries]

    def _entries(self, places: array.array) -> list[dict]:
        with self._path.open("rb") as file:
            found = []
            for start, end in zip(places[::2], places[1::2]):
                file.seek(start)
                found.append(json.loads(file.read(end - start)))
        return found
