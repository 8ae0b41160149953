"""Images that are nearly the same are told from others; measured on drawn scenes."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance

from keras_fcn.datasets.inspection.thumbnails import LIKE, SIDE, likeness, thumbnail, thumbnails_of
from keras_fcn.datasets.toy import draw_scene


@pytest.fixture(scope="module")
def scenes():
    return [Image.fromarray(draw_scene(np.random.default_rng(seed))[0]) for seed in range(60)]


def thumbnails(images):
    return thumbnails_of([thumbnail(image) for image in images])


def compressed(image):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=40)
    return Image.open(file)


def test_copies_are_found_and_others_are_not(scenes):
    own = thumbnails(scenes)
    apart = likeness(own, own)[~np.eye(60, dtype=bool)]
    assert apart.max() < 0.55
    for change in (
        compressed,
        lambda image: image.resize((image.width // 2, image.height * 2 // 3)),
        lambda image: ImageEnhance.Brightness(image).enhance(1.2),
        lambda image: ImageEnhance.Contrast(image).enhance(0.7).convert("L"),
        lambda image: image.crop((image.width // 50, 0, image.width, image.height)),
    ):
        copies = likeness(thumbnails(map(change, scenes)), own)
        assert (copies.argmax(axis=1) == np.arange(60)).all()
        assert (copies.diagonal() >= LIKE).mean() > 0.95


def test_what_all_images_share_makes_none_like_another(scenes):
    """The black border of a microscope's images."""
    framed = []
    for scene in scenes:
        mask = Image.new("L", scene.size)
        ImageDraw.Draw(mask).ellipse((10, 5, scene.width - 10, scene.height - 5), fill=255)
        framed.append(Image.composite(scene, Image.new("RGB", scene.size), mask))
    own = thumbnails(framed)
    assert likeness(own, own)[~np.eye(60, dtype=bool)].max() < LIKE


def test_images_of_one_color_are_like_none(scenes):
    flat = thumbnails([Image.new("RGB", (50, 40), color) for color in ("black", "white", "red")])
    own = np.concatenate([flat, thumbnails(scenes)])
    assert likeness(flat, own).max() == 0
    assert (likeness(own, own[:0]).shape, likeness(own[:0], own).shape) == ((63, 0), (0, 63))


def test_every_mode_and_orientation(scenes):
    grey = np.asarray(scenes[0].convert("L"))
    deep = Image.fromarray(grey.astype(np.uint16) * 257)
    first, second = thumbnails([Image.fromarray(grey), deep])
    assert np.abs(first.astype(int) - second).max() <= 1
    palette = thumbnails([scenes[0].quantize(64), scenes[0]])
    assert likeness(palette[:1], palette[1:]).shape == (1, 1)
    upright, turned = thumbnail(scenes[0].transpose(Image.Transpose.ROTATE_180)), thumbnail(scenes[0], 3)
    assert likeness(*(np.concatenate([thumbnails_of([text]), palette]) for text in (turned, upright)))[0, 0] > 0.9
    assert thumbnails_of(["", upright]).shape == (2, SIDE, SIDE)
