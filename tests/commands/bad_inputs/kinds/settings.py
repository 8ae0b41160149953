"""Recipes and config.json: other forms, unknown names, values of other types, and what would grow in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from commands.bad_inputs import material
from commands.bad_inputs.case import Case
from commands.bad_inputs.kinds.images import HTML
from commands.bad_inputs.material import encoded, photo, write

KIND = "Settings"
_LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi")
)
FILES: dict[str, tuple[str | bytes, str]] = {
    "an empty file": ("", "settings"),
    "a web page": (HTML, "bad.yaml"),
    "a picture": (encoded(photo()), "bad.yaml"),
    "UTF-16": ("epochs: 3\n".encode("utf-16"), "bad.yaml"),
    "a list": ("- epochs\n- 3\n", "settings"),
    "a number": ("3\n", "settings"),
    "JSON cut off": ('{"epochs": 3, "seed"', "bad.yaml"),
    "YAML with a tab": ("epochs:\n\t3\n", "bad.yaml"),
    "an unknown setting": ("epoch: 3\n", "epoch"),
    "a setting with a dash": ("batch-size: 3\n", "batch_size"),
    "a setting of another program": ("lr: 0.1\nmomentum: 0.9\n", "momentum"),
    "a setting that is there twice": ("seed: 1\nepochs: 3\nseed: 2\n", "seed"),
    "settings in groups": ("run:\n  epochs: 3\n", "run"),
    "a value that is a mapping": ("epochs: {a: 3}\n", "epochs"),
    "a list of lists": ("crop_size: [[64], [64]]\n", "crop_size"),
    "a list where one value is taken": ("epochs: [3, 4]\n", "4"),
    "a value of letters": ("epochs: many\n", "many"),
    "a fraction of an epoch": ("epochs: 1.5\n", "1.5"),
    "a negative value": ("epochs: -3\n", "-3"),
    "NaN": ("learning_rate: .nan\n", "nan"),
    "infinity": ("learning_rate: .inf\n", "inf"),
    "null where a value is needed": ("epochs: null\n", "epochs"),
    "one size of two": ("crop_size: [64]\n", "crop-size"),
    "three sizes": ("crop_size: [64, 64, 64]\n", "64"),
    "yes for a choice": ("xla: maybe\n", "maybe"),
    "a word for True": ("deterministic: perhaps\n", "perhaps"),
    "an unknown network": ("model: unet\n", "unet"),
    "an unknown backbone": ("backbone: resnet9000\n", "resnet9000"),
    "an unknown loss": ("loss: [focal]\n", "focal"),
    "epochs and minutes": ("epochs: 3\nminutes: 5\n", "minutes"),
    "a cache without a frozen backbone": ("cache_features: 1\n", "freeze-backbone"),
    "a threshold without a teacher": ("pseudo_threshold: 0.5\n", "pseudo-threshold"),
    "weights and a run": ("weights: imagenet\ninit_from: run\n", "weights"),
    "ohem of another loss": ("loss: [dice]\nohem: 0.5\n", "ohem"),
    "an object of Python": ("epochs: !!python/object/apply:os.getcwd []\n", "epochs"),
    "a module of Python": ("epochs: !!python/name:os.system ''\n", "epochs"),
    "aliases of aliases": (_LAUGHS + "epochs: *i\n", "bad.yaml"),
    "an alias of itself": ("epochs: &a [*a]\n", "epochs"),
    "an alias that is unknown": ("epochs: *a\n", "bad.yaml"),
    "nested 100,000 deep": ("[" * 100_000, "bad.yaml"),
    "mappings nested 100,000 deep": ("{a: " * 100_000, "bad.yaml"),
    "a file of 2 MiB": ("# " + "x" * (2 << 20) + "\nepochs: 3\n", "256 KiB"),
    "an integer of 5,000 digits": (f"epochs: {'9' * 5000}\n", "epochs"),
    "a key of a list": ("[1, 2]: 3\n", "settings"),
    "two documents": ("epochs: 3\n---\nepochs: 4\n", "bad.yaml"),
    "own parts that are a list": ("own: [a]\n", "own"),
    "zero bytes": (b"epochs: 3\0\n", "bad.yaml"),
}  # fmt: skip
WORDS = {
    "a recipe that is unknown": ("--config nosuch", "nosuch"),
    "a file that is missing": ("--config nosuch.yaml", "nosuch.yaml"),
    "a folder as a recipe": ("--config data", "data"),
    "a recipe and a run": ("--config small_dataset --resume run", "--resume"),
    "a tuning of nothing": ("--tune 0", "--tune"),
    "a tuning over an unknown setting": ("--tune 2 --tune-over nosuch=1..2", "nosuch"),
    "a tuning over letters": ("--tune 2 --tune-over learning_rate=a..b", "a..b"),
    "a tuning from much to little": ("--tune 2 --tune-over learning_rate=1..0.1", "1..0.1"),
    "a tuning without range": ("--tune 2 --tune-over learning_rate", "learning_rate"),
    "a tuning over no tuning": ("--tune-over learning_rate=0.1..1", "--tune"),
    "an unknown tracker": ("--tracker nosuch", "nosuch"),
    "a folder of a run that is a file": ("--run-dir taken", "taken"),
    "a folder of a run with other files": ("--run-dir data", "data"),
    "a folder of a run below a file": ("--run-dir taken/below", "taken"),
    "imagenet for a backbone without": ("--backbone resnet18_v2 --weights imagenet", "resnet18_v2"),
    "dilation of a backbone that has none": ("--backbone vgg16 --output-stride 8", "vgg16"),
    "a context of a head that has its own": ("--model deeplabv3 --context pyramid", "deeplabv3"),
    "a teacher without images": ("--unlabelled teach", "teach"),
    "workers of a cluster that is not told": ("--strategy multiworker", "TF_CONFIG"),
    "crops of more than the memory": ("--crop-size 2000000 2000000", "2000000"),
}


def _file(content: str | bytes):
    def make(folder: Path) -> None:
        material.data(folder)
        write(folder / "bad.yaml", content)

    return make


def _words(folder: Path) -> None:
    material.data(folder)
    write(folder / "taken", "a file")


def cases() -> Iterator[Case]:
    """Yields each recipe, and the same as the config.json of a run that is resumed, and words beside recipes."""
    for what, (content, said) in FILES.items():
        yield Case(what, "train --data data --config bad.yaml --run-dir out", _file(content), (said,))
    for what, (words, said) in WORDS.items():
        run = "" if "run-dir" in words or "--resume" in words else " --run-dir out"
        yield Case(what, f"train --data data {words}{run}", _words, (said,))
    for what in ("an empty file", "JSON cut off", "an unknown setting", "an object of Python", "nested 100,000 deep"):
        content = FILES[what][0]
        make = lambda folder, content=content: write(folder / "run/config.json", content)  # noqa: E731
        yield Case(f"config.json of a run: {what}", "train --resume run", make, ("run/config.json",))
    make = lambda folder: write(folder / "run/config.json", json.dumps({"data": "nosuch"}))  # noqa: E731
    yield Case("config.json of a run: data that are missing", "train --resume run", make, ("nosuch",))
