"""Segmenting images with a trained model from memory or from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_fcn.errors import UserError
from keras_fcn.images.classes import ClassTable
from keras_fcn.images.photos import as_image
from keras_fcn.inference.averaging import tempered, with_flip, with_scales
from keras_fcn.inference.decision import Decision
from keras_fcn.inference.graphs import ProbabilityFunction, Segment, probability_function, segmenter
from keras_fcn.inference.large import WholeImages
from keras_fcn.inference.models import find_model, load_model, load_saved_functions
from keras_fcn.inference.options import InferenceOptions
from keras_fcn.inference.tiling import Tiled
from keras_fcn.network.parts import class_table


class Predictor:
    """A trained model, ready to segment images of any size.

    Args:
        model: A network of `build_fcn`; the path of a run folder (its best model), a `.keras` file or a SavedModel (of
            several versions, the newest); or a function from images uint8 [N, H, W, 3] to class ids uint8 [N, H, W].
        classes: For a function, names and colours of the ids.
        score: For a function, one from the same images to probabilities float32 [N, H, W, C], if there is one.
        name: For a function, its name in error messages.

    Attributes:
        segment: From images uint8 [N, H, W, 3] to class ids uint8 [N, H, W].
        classes: Names and colours of the ids.
        decide: From probabilities [..., C] to class ids uint8 [...].
        limits: The images that are predicted as a whole where memory matters; None for SavedModels and functions.

    Raises:
        UserError: If there is no model at the path, it is damaged, or it was not written by this program.

    Examples:
        >>> predictor = Predictor("runs/NAME")
        >>> masks = predictor(["a.jpg", "b.jpg"])
    """

    def __init__(
        self,
        model: keras.Model | str | Path | Segment,
        classes: ClassTable | None = None,
        score: ProbabilityFunction | None = None,
        name: str = "the model",
    ) -> None:
        if isinstance(model, (str, Path)):
            path = find_model(Path(model))
            name = str(path)
            if path.is_dir():
                model, classes, score = load_saved_functions(path)
            else:
                model = load_model(path)
        self.limits: WholeImages | None = None
        self._large: WholeImages | None = None
        self._tiled: Tiled | None = None
        if isinstance(model, keras.Model):
            if len(model.outputs) > 1:  # an auxiliary head, for training
                model = keras.Model(model.inputs, model.outputs[0], name=model.name)
            self.limits = WholeImages.of_network(model)
            model, classes, score = segmenter(model), class_table(model), probability_function(model)
        elif classes is None:
            raise UserError(f"Predictor takes a model or a path, or a function and its classes. Received: {model!r}")
        self.segment = model
        self.decide = Decision()
        self.classes = classes
        self._score, self._name = score, name

    @classmethod
    def open(
        cls, path: str | Path, options: InferenceOptions | None = None, decision: Decision | None = None
    ) -> Predictor:
        """Loads a run folder (its best model), a `.keras` file, or a SavedModel (of several versions, the newest).

        Args:
            path: The run folder, file or SavedModel.
            options: Flipping, scales and tiles; none if not given.
            decision: How probabilities become classes; the most probable class if not given.

        Raises:
            UserError: If there is no such model, it is damaged, or it was not written by this program.
        """
        return cls(path).using(options or InferenceOptions(), decision)

    def using(self, options: InferenceOptions, decision: Decision | None = None) -> Predictor:
        """Returns a predictor that applies flipping, scales and tiles to this one, and a decision to what that gives.

        Raises:
            UserError: If the options need probabilities, and the model returns classes only.
        """
        decision = (decision or Decision()).with_thresholds(options.threshold, self.classes.names)
        if options.is_plain and decision.is_plain:
            return self
        probabilities = self.score
        if options.temperature != 1:
            probabilities = tempered(probabilities, options.temperature)
        if options.scales != (1.0,):
            probabilities = with_scales(probabilities, options.scales)
        if options.flip:
            probabilities = with_flip(probabilities)
        # Variants are averaged outside of a graph: tracing one of eight networks took 25 seconds.
        if options.tile is not None:
            tiled = Tiled(probabilities, options.tile, options.tile_overlap, decision)
            found = Predictor(tiled.segment, self.classes, tiled.probabilities, self._name)
            found._tiled = tiled
        else:
            found = Predictor(lambda images: decision(probabilities(images)), self.classes, probabilities, self._name)
        found.decide, found._large = decision, self.limits or self._large
        return found

    @property
    def segment_any_size(self) -> Segment:
        """Returns `segment`, in tiles for images that would not fit into memory as a whole.

        A SavedModel, a function, and a predictor with options of its own take each image as `segment` does.
        """
        return self.segment if self.limits is None else self.limits.segmenter(self.segment, self.score)

    @property
    def is_tiled(self) -> bool:
        """True if `using` was asked for tiles."""
        return self._tiled is not None

    def tiles_of(self, height: int, width: int) -> Tiled | None:
        """Returns the tiles in which an image is predicted that is read by windows; None if it is taken as a whole.

        Args:
            height: Its height in pixels.
            width: Its width.

        Raises:
            UserError: If tiles are needed, and the model returns classes only.
        """
        limits = self.limits or self._large or WholeImages.of(self.classes.num_classes)
        if self._tiled is None and height * width > limits.most_pixels:
            return limits.tiled(self.score)
        return self._tiled

    @property
    def score(self) -> ProbabilityFunction:
        """Returns the function from images uint8 [N, H, W, 3] to class probabilities float32 [N, H, W, C].

        Raises:
            UserError: If the model returns classes only.
        """
        if self._score is None:
            raise UserError(
                f"{self._name}: returns classes without probabilities, which flips, scales, tiles and confidence need; "
                "export the run again: python -m export.saved_model RUN DIR"
            )
        return self._score

    def __call__(self, image: Any) -> Any:
        """Returns the class id of every pixel.

        Args:
            image: A path, an image of Pillow's, or an array uint8 [H, W, 3]; or a list of them, of any sizes.

        Returns:
            uint8 [H, W], or a list of them.

        Raises:
            UserError: If a file cannot be decoded, or an array is not an image.
        """
        if isinstance(image, (list, tuple)):
            return [self(one) for one in image]
        return np.asarray(self.segment(as_image(image)[None]))[0]

    def probabilities(self, image: Any) -> Any:
        """Returns the probability of every class at every pixel.

        Args:
            image: One or several images, as for `__call__`.

        Returns:
            float32 [H, W, C], or a list of them.

        Raises:
            UserError: If the model returns classes only, a file cannot be decoded, or an array is not an image.
        """
        if isinstance(image, (list, tuple)):
            return [self.probabilities(one) for one in image]
        return np.asarray(self.score(as_image(image)[None]))[0]
