"""What compared models cost, against cases worked by hand."""

import numpy as np

from keras_fcn.evaluation.comparison.costs import Cost, Watched, format_costs


def test_agreement_is_over_all_pixels_of_all_images(tmp_path):
    """The first column has another class: 2 of 4 pixels, and 3 of 12."""
    (tmp_path / "model.xml").write_bytes(bytes(1_000_000))
    (tmp_path / "model.bin").write_bytes(bytes(500_000))
    first = Watched(lambda images: images[..., 0])
    other = Watched(lambda images: images[..., 0] + (np.arange(images.shape[2]) == 0))
    for height, width in ((2, 2), (3, 4)):
        image = np.zeros((1, height, width, 3), np.uint8)
        assert first(image).shape == other(image).shape == (1, height, width)
    cost = other.cost([tmp_path / "model.xml"], "OpenVINO", first)
    assert (cost.program, cost.megabytes, cost.agreement) == ("OpenVINO", 1.5, 11 / 16)
    assert first.cost([tmp_path / "model.xml"], "OpenVINO", first).agreement == 1


def test_times_are_beside_those_of_the_first():
    costs = [Cost("Keras", 0.05, 45.14, 1.0), Cost("LiteRT", 0.02, 11.9, 0.98765)]
    header, _, *rows = format_costs("AB", costs).splitlines()
    assert header.split("  ")[-1].strip() == "pixels with A's class"
    assert [row.split() for row in rows] == [
        ["A", "Keras", "45.1", "50.0", "1.00x", "100.00%"],
        ["B", "LiteRT", "11.9", "20.0", "0.40x", "98.77%"],
    ]
