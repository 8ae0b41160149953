"""What an exported file says of its network, as texts: every format has a place for these."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

from keras_fcn.errors import UserError
from keras_fcn.images.classes import ClassTable
from keras_fcn.images.values.channels import RGB, Channels
from keras_fcn.system.text import load_json

PREPROCESSING = "none: images are uint8 [N, H, W, 3], RGB; normalization, padding and cropping are in the file"
"""What a program has to do before it gives images to a file."""


@dataclasses.dataclass(frozen=True)
class Facts:
    """What an exported file says of its network.

    Attributes:
        name: The network's name.
        classes: Names and colours of the ids.
        input_scale: The factor by which images are resized in the file before the network sees them.
        thresholds: The least probability of classes, by name, with which a pixel is theirs; of those that have one.
        sight: How many pixels a pixel sees to one side, infinity for all; None if that is not known.
        channels: The channels of images.
        network: The fingerprint of the network that the file was compared with before it was kept; "" if unknown.
    """

    name: str
    classes: ClassTable
    input_scale: float = 1.0
    thresholds: Mapping[str, float] = dataclasses.field(default_factory=dict)
    sight: float | None = None
    channels: Channels = RGB
    network: str = ""

    def to_texts(self) -> dict[str, str]:
        """Returns them as texts by name; lists are JSON."""
        count = self.channels.count
        thresholds = {"class_thresholds": json.dumps(dict(self.thresholds), ensure_ascii=False)}
        return {
            "model_name": self.name,
            "class_names": json.dumps(self.classes.names, ensure_ascii=False),
            "class_colors": json.dumps(self.classes.colors),
            "void_color": json.dumps(self.classes.void_color),
            "input_scale": f"{self.input_scale:g}",
            "preprocessing": PREPROCESSING.replace("3], RGB", "3], RGB" if self.channels.is_rgb else f"{count}]"),
            **(thresholds if self.thresholds else {}),
            **({} if self.sight is None else {"sight": f"{self.sight:g}"}),
            **({} if self.channels.is_rgb else {"channels": self.channels.text}),
            **({"network": self.network} if self.network else {}),
        }

    @classmethod
    def from_texts(cls, path: Path, texts: Mapping[str, str], command: str) -> Facts:
        """Returns what `to_texts` wrote; files of earlier versions have fewer texts.

        Args:
            path: The file, for the message.
            texts: The texts by name.
            command: The module that exports such files, for the message.

        Raises:
            UserError: If there are no classes among them.
        """
        try:
            names, colors = load_json(texts["class_names"]), load_json(texts["class_colors"])
            void = load_json(texts.get("void_color", "[224, 224, 192]"))
            classes = ClassTable.from_dict({"names": names, "colors": colors, "void_color": void})
            thresholds = {name: float(value) for name, value in load_json(texts.get("class_thresholds", "{}")).items()}
            scale, sight = float(texts.get("input_scale", 1)), float(texts["sight"]) if "sight" in texts else None
            channels = Channels(texts.get("channels", RGB.text))
            name, network = texts.get("model_name", ""), texts.get("network", "")
            return cls(name, classes, scale, thresholds, sight, channels, network)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise UserError(
                f"{path}: holds no class names and colours, so it is no file of python -m {command}; export your run "
                "with that"
            ) from None
