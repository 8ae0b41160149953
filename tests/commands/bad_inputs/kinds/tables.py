"""Files of classes, lists of splits, and what classes are to become."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from commands.bad_inputs import material
from commands.bad_inputs.case import Case
from commands.bad_inputs.material import encoded, ids, photo, write
from PIL import Image

KIND = "Classes and lists"
TRAIN = "train --data data --run-dir out"


def _classes(name: str, text: str | bytes) -> Callable[[Path], None]:
    """Returns how to make a data set with another file of classes."""

    def make(folder: Path) -> None:
        material.data(folder)
        (folder / "data/classes.txt").unlink()
        write(folder / "data" / name, text)

    return make


FILES = {
    "an empty file of classes": ("classes.txt", "", "classes.txt"),
    "a single class": ("classes.txt", "floor\n", "classes.txt"),
    "fewer classes than ids": ("classes.txt", "floor\nred\n", "2"),
    "a name that is there twice": ("classes.txt", "floor\nred\nred\nblue\n", "red"),
    "an id that is there twice": ("classes.txt", "0 floor\n1 red\n1 green\n2 blue\n", "1"),
    "an id of 300": ("classes.txt", "0 floor\n300 red\n1 green\n2 blue\n", "300"),
    "a negative id": ("classes.csv", "id,name\n-1,floor\n1,red\n2,green\n3,blue\n", "value 0"),
    "300 classes": ("classes.txt", "".join(f"c{number}\n" for number in range(300)), "254"),
    "a colour of four numbers": ("labelmap.txt", "floor:0,0,0,0::\nred:1,0,0::\n", "labelmap.txt"),
    "a colour beyond 255": ("labelmap.txt", "floor:0,0,0::\nred:300,0,0::\n", "300"),
    "a colour that is there twice": ("labelmap.txt", "floor:0,0,0::\nred:9,0,0::\ngreen:9,0,0::\n", "9"),
    "a colour of letters": ("labelmap.txt", "floor:0,0,0::\nred:a,b,c::\n", "labelmap.txt"),
    "no lines but comments": ("labelmap.txt", "# label:color_rgb:parts:actions\n", "labelmap.txt"),
    "JSON cut off": ("classes.json", '{"0": "floor", "1": ', "classes.json"),
    "JSON of a number": ("classes.json", "4", "classes.json"),
    "JSON that nests 100,000 deep": ("classes.json", "[" * 100_000, "classes.json"),
    "JSON of names with a null": ("classes.json", '{"0": "floor", "1": null, "2": "green"}', "classes.json"),
    "YAML with a tab": ("classes.yaml", "names:\n\t- floor\n", "classes.yaml"),
    "YAML that makes an object": ("classes.yaml", "names: !!python/object/apply:os.getcwd []\n", "classes.yaml"),
    "YAML of aliases of aliases": (
        "classes.yaml",
        "a: &a [x,x,x,x,x,x,x,x,x]\n"
        + "".join(f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi"))
        + "names: *i\n",
        "classes.yaml",
    ),
    "CSV without a column of names": ("classes.csv", "id,r,g,b\n0,0,0,0\n1,1,1,1\n", "classes.csv"),
    "CSV with rows of other lengths": ("classes.csv", "name,r,g,b\nfloor,0,0,0\nred,1\n", "classes.csv"),
    "text that is no UTF-8": ("classes.txt", b"floor\n\xff\xfe\xfd\n", "classes.txt"),
    "UTF-16": ("classes.txt", "floor\nred\ngreen\nblue\n".encode("utf-16"), "classes.txt"),
    "a picture called classes.txt": ("classes.txt", encoded(photo()), "classes.txt"),
}  # fmt: skip


def _two_tables(folder: Path) -> None:
    material.data(folder)
    write(folder / "data/labels.txt", "floor\nred\nblue\ngreen\n")


def _lists(texts: dict[str, str | bytes], drop: str = "") -> Callable[[Path], None]:
    """Returns how to make VOC's folders with lists of one's own."""

    def make(folder: Path) -> None:
        root = folder / "data"
        for seed, name in enumerate(material.NAMES):
            write(root / f"JPEGImages/{name}.jpg", encoded(photo(seed), "JPEG"))
            write(root / f"SegmentationClass/{name}.png", encoded(Image.fromarray(ids(seed))))
        for name, text in texts.items():
            write(root / f"ImageSets/Segmentation/{name}.txt", text)
        if drop:
            (root / drop).unlink()

    return make


_GOOD = {"train": "a\nb\nc\nd\n", "val": "e\nf\n"}
LISTS = {
    "an empty list": ({**_GOOD, "train": ""}, "train"),
    "a list of nothing but blanks": ({**_GOOD, "train": " \n\n"}, "train"),
    "a name that is no image": ({**_GOOD, "train": "a\nnosuch\n"}, "nosuch"),
    "a name that leaves the folder": ({**_GOOD, "train": "a\n../../etc/passwd\n"}, "passwd"),
    "a name with a zero byte": ({**_GOOD, "train": "a\nb\0c\n"}, "train"),
    "bytes that are no text": ({**_GOOD, "train": b"a\n\xff\xfe\n"}, "train"),
    "a single image in the lists": ({"train": "a\n"}, "train"),
    "a list that is a picture": ({**_GOOD, "train": encoded(photo())}, "train"),
    "a line of 100,000 letters": ({**_GOOD, "train": "a\n" + "x" * 100_000 + "\n"}, "train"),
}
CHOICES = {
    "--split nosuch": "nosuch",
    "--val-split nosuch": "nosuch",
    "--merge red": "red",
    "--merge red+nosuch=new": "nosuch",
    "--merge red+green=": "red+green=",
    "--merge red+green=x green+blue=y": "green",
    "--ignore-classes nosuch": "nosuch",
    "--drop nosuch": "nosuch",
    "--drop floor": "drop",
    "--drop red --ignore-classes red": "red",
    "--drop red green blue": "drop",
    "--unlabelled nosuch": "nosuch",
    "--unlabelled backgrounds": "backgrounds",
    "--channels 0": "0",
    "--channels 1,2,4": "4",
    "--channels nir": "nir",
    "--group-by '('": "group",
    "--group-by nosuch": "nosuch",
    "--folds 5": "fold",
    "--folds 5 --fold 6": "6",
    "--folds 50 --fold 1": "50",
    "--blocks 64 --folds 2 --fold 1": "blocks",
    "--watch iou:nosuch": "nosuch",
    "--watch accuracy": "accuracy",
    "--images '{name}.png'": "masks",
    "--images '*.png' --masks '*.png'": "name",
    "--images 'images/{name}.jpg' --masks 'masks/{name}.png'": "jpg",
    "--images 'images/{name}.png' --masks 'masks/{name}.png' --layout voc": "layout",
    "--images '{split}/{name}.png' --masks 'masks/{name}.png'": "split",
    "--layout nosuch": "nosuch",
    "--layout voc": "ImageSets",
    "--layout coco": "COCO",
    "--layout via:": "VIA",
    "--layout datumaro:nosuch": "datumaro",
}
"""Options that name what the data set lacks."""


def cases() -> Iterator[Case]:
    """Yields each file of classes and each list, by train; and each choice."""
    for what, (name, text, said) in FILES.items():
        is_named = name.endswith((".json", ".yaml", ".csv")) and "id" not in what
        handled = f"{name} looks like a file of classes, but is not understood" if is_named else None
        yield Case(what, TRAIN, _classes(name, text), () if is_named else (said,), handled)
    yield Case("two files of classes that disagree", TRAIN, _two_tables, ("labels.txt", "classes.txt"))
    for what, (texts, said) in LISTS.items():
        yield Case(what, TRAIN, _lists(texts), (said,))
    yield Case("a listed image without mask", TRAIN, _lists(_GOOD, "SegmentationClass/a.png"), ("a",))
    both = "are too good: keep each image in one split"
    yield Case("--val-split train", f"{TRAIN} --val-split train", material.data, (), both)
    for words, said in CHOICES.items():
        yield Case(words, f"{TRAIN} {words}", material.data, (said,))
