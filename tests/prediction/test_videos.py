"""Videos in, videos of the same size, rate and length out."""

import importlib.util
from fractions import Fraction

import numpy as np
import pytest
import tensorflow as tf
from conftest import Call
from PIL import Image

from keras_fcn.drawing.overlays import labelled_overlay
from keras_fcn.errors import UserError
from keras_fcn.images.classes import ClassTable
from keras_fcn.inference.predictor import Predictor
from keras_fcn.prediction.plan import plan
from keras_fcn.prediction.sources import find_images
from keras_fcn.prediction.videos.files import VideoReader, VideoWriter
from keras_fcn.prediction.videos.predict import predict_video

needs_av = pytest.mark.skipif(
    importlib.util.find_spec("av") is None, reason="PyAV is not installed: pip install -r requirements-extra.txt"
)
VOC = ClassTable.voc()


def bright_is_cat(images):
    return tf.cast(tf.reduce_mean(tf.cast(images, tf.float32), axis=-1) > 127, tf.uint8) * 8


@pytest.fixture(scope="module")
def predictor():
    """A "model" that takes bright pixels for a cat."""
    return Predictor(tf.function(bright_is_cat), VOC)


def drawn_frames(count, size):
    """A bright square that wanders over a dark ground."""
    frames = np.full((count, *size, 3), 40, np.uint8)
    for number, frame in enumerate(frames):
        frame[size[0] // 4 : size[0] // 2, number : number + size[1] // 3] = 220
    return frames


def write_video(path, frames, times=None, rate=Fraction(30000, 1001)):
    """Encodes frames without loss, by PyAV alone."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"qp": "0"})
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], "yuv444p"
        stream.codec_context.time_base = 1 / rate
        for number, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv444p")
            frame.pts, frame.time_base = number if times is None else times[number], 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def read_video(path):
    """Rate, times in seconds and frames of a video, by PyAV alone."""
    import av

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [
            (float(frame.pts * stream.time_base), frame.to_ndarray(format="rgb24"))
            for frame in container.decode(stream)
        ]
        assert (stream.codec_context.name, container.format.name.split(",")[0]) == ("h264", "mov")
        return stream.average_rate, *zip(*frames)


def task_of(path, out, *outputs):
    (task,) = plan(find_images([str(path)]), str(out), outputs).left
    return task


@needs_av
@pytest.mark.parametrize("size", [(64, 96), (61, 83)])
def test_a_video_of_overlays_has_the_same_size_rate_and_frames(predictor, tmp_path, size):
    frames = drawn_frames(12, size)
    source = write_video(tmp_path / "clip 猫.mp4", frames)
    predict_video(
        predictor,
        task_of(source, tmp_path / "out", "overlays", "masks"),
        advance=(ticks := []).append and (lambda: ticks.append(1)),
    )
    rate, times, shown = read_video(tmp_path / "out/overlays/clip 猫.mp4")
    source_rate, source_times, decoded = read_video(source)
    assert (rate, len(ticks)) == (source_rate, 12)
    np.testing.assert_allclose(times, source_times, atol=1e-3)
    masks = sorted((tmp_path / "out/masks/clip 猫").iterdir())
    assert [mask.name for mask in masks] == [f"{number:06d}.png" for number in range(12)]
    for image, mask, overlay in zip(decoded, masks, shown, strict=True):
        ids = np.asarray(Image.open(mask))
        np.testing.assert_array_equal(ids, np.where(image.astype(int).mean(axis=-1) > 127, 8, 0))
        expected = np.asarray(labelled_overlay(image, ids, VOC))
        assert np.abs(overlay.astype(int) - expected).mean() < 6  # H.264 loses some
        assert overlay.shape == image.shape
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["masks", "overlays"]


@needs_av
def test_times_of_frames_are_kept_where_they_vary(predictor, tmp_path):
    times = [0, 1, 2, 5, 6, 12, 13]
    source = write_video(tmp_path / "clip.mp4", drawn_frames(7, (64, 64)), times)
    predict_video(predictor, task_of(source, tmp_path / "out", "overlays"))
    np.testing.assert_allclose(
        read_video(tmp_path / "out/overlays/clip.mp4")[1], np.array(times) * 1001 / 30000, atol=1e-3
    )


@needs_av
def test_a_telephone_held_upright_gives_upright_frames(tmp_path):
    """Phones write a rotation into the track header (ISO 14496-12, 8.3.2) instead of turning the pixels."""
    frames = drawn_frames(3, (64, 96))
    source = write_video(tmp_path / "clip.mp4", frames)
    content = bytearray(source.read_bytes())
    matrix = content.index(b"tkhd") + 4 + 40
    quarter = np.array([0, 1 << 16, 0, -1 << 16, 0, 0, 64 << 16, 0, 1 << 30], ">i4")  # a quarter turn clockwise
    content[matrix : matrix + 36] = quarter.tobytes()
    source.write_bytes(content)
    with VideoReader(str(source)) as reader:
        turned = [image for _, image in reader.frames()]
    for image, frame in zip(turned, frames, strict=True):
        assert np.abs(image.astype(int) - np.rot90(frame, -1)).max() < 8


@needs_av
def test_a_sequence_of_images_is_a_video(predictor, tmp_path):
    frames = drawn_frames(5, (64, 96))
    for number, frame in enumerate(frames, 98):
        Image.fromarray(frame).save(tmp_path / f"frame_{number:03d}.png")
    task = task_of(tmp_path / "frame_%03d.png", tmp_path / "out", "overlays", "json")
    predict_video(predictor, task, rate=10.0)
    rate, times, shown = read_video(tmp_path / "out/overlays/frame_.mp4")
    assert (rate, len(shown)) == (10, 5)
    np.testing.assert_allclose(times, np.arange(5) / 10, atol=1e-3)
    assert len(list((tmp_path / "out/json/frame_").iterdir())) == 5
    with pytest.raises(UserError, match="no image has such a name; frame_%04d"):
        VideoReader(str(tmp_path / "other_%d.png"))


@needs_av
def test_a_broken_video_is_named_and_leaves_nothing(predictor, tmp_path):
    source = write_video(tmp_path / "clip.mp4", drawn_frames(5, (64, 64)))
    (tmp_path / "cut.mp4").write_bytes(source.read_bytes()[:900])
    for name in ("cut.mp4", "text.mp4"):
        (tmp_path / "text.mp4").write_text("no video")
        with pytest.raises(UserError, match=rf"{name}: cannot be decoded \(.*\); replace the file, or leave it out"):
            predict_video(predictor, task_of(tmp_path / name, tmp_path / "out", "overlays", "masks"))
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


@needs_av
def test_a_video_among_images_from_the_command_line(trained, toy, tmp_path):
    source = write_video(tmp_path / "clip.mp4", drawn_frames(2, (64, 96)))
    (tmp_path / "broken.mov").write_text("no video")
    photo = toy / "JPEGImages/val_0000.jpg"
    words = ["predict.py", trained, source, photo, tmp_path / "broken.mov", "--out", tmp_path / "out"]
    call = Call(*words)
    assert call.status == 1, call.err
    assert call.err.startswith(f"error: {tmp_path}/broken.mov: cannot be decoded")
    assert call.out.startswith("2 of 3 segmented: ")
    again = Call(*words, "--skip-existing")
    assert again.out.startswith("0 of 3 segmented, 2 already existed: ")
    found = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert found == [
        "masks/clip/000000.png", "masks/clip/000001.png", "masks/val_0000.png",
        "overlays/clip.mp4", "overlays/val_0000.jpg",
    ]  # fmt: skip
    assert Call(*words, "--overwrite").status == 1
    assert len(list((tmp_path / "out/masks/clip").iterdir())) == 2


def test_without_pyav_it_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    (tmp_path / "clip.mp4").write_bytes(b"")
    call = Call("predict.py", "model", tmp_path / "clip.mp4", "--out", tmp_path / "out")
    assert (call.status, call.err.count("\n")) == (2, 1)
    assert "videos: needs av, which is not installed: pip install -r requirements-extra.txt" in call.err


@needs_av
def test_a_writer_that_is_interrupted_leaves_no_video_behind(predictor, tmp_path):
    source = write_video(tmp_path / "clip.mp4", drawn_frames(9, (64, 64)))

    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict_video(predictor, task_of(source, tmp_path / "out", "overlays", "masks"), advance=stop)
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


@needs_av
def test_odd_sizes_keep_their_size(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", (1, 3), Fraction(25), Fraction(1, 25)) as video:
        video.write(0, np.zeros((1, 3, 3), np.uint8))
    assert read_video(tmp_path / "a.mp4")[2][0].shape == (1, 3, 3)
