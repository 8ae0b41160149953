"""Segmenting images with a trained model from memory or from a file."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_fcn.errors import UserError, argument
from keras_fcn.images.classes import ClassTable
from keras_fcn.images.photos import as_image
from keras_fcn.images.values.channels import RGB, Channels
from keras_fcn.inference.arrays import ProbabilityFunction, Segment
from keras_fcn.inference.averaging import mean_of, tempered, with_flip, with_scales
from keras_fcn.inference.decision import Decision, threshold_note
from keras_fcn.inference.engines.engine import Engine
from keras_fcn.inference.engines.opening import find_model, open_engine
from keras_fcn.inference.large import WholeImages
from keras_fcn.inference.options import InferenceOptions, farthest, require_each_once, tile_note
from keras_fcn.inference.tiling import Tiled
from keras_fcn.runs.names import PrecisionName

if TYPE_CHECKING:
    import keras


class Predictor:
    """A trained model, ready to segment images of any size.

    Args:
        model: A network of `build_fcn`; the path of a run folder (its best model), a `.keras` file, a SavedModel (of
            several versions, the newest), or an exported `.onnx`, `.xml` or `.tflite` file, for which TensorFlow is not
            loaded; or a function from images uint8 [N, H, W, 3] to class ids uint8 [N, H, W].
        classes: For a function, names and colours of the ids.
        score: For a function, one from the same images to probabilities float32 [N, H, W, C], if there is one.
        name: For a function, its name in error messages.
        decide: For a function, how its classes follow from the probabilities; the most probable class if not given.
        channels: For a function, the channels of images.
        precision: For a network or a path, what layers compute in; "auto" is bfloat16 where it is faster, else float32.

    Attributes:
        channels: The channels that are read of images.
        segment: From images uint8 [N, H, W, channels] to class ids uint8 [N, H, W].
        classes: Names and colours of the ids.
        decide: From probabilities [..., C] to class ids uint8 [...].
        limits: The images that are predicted as a whole where memory matters; None for functions, models
            without probabilities, files of one size, and where options say tiles, or average.
        program: The program that computes it: Keras, ONNX Runtime ...; empty for a function.

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
        decide: Decision | None = None,
        channels: Channels = RGB,
        precision: PrecisionName = "auto",
    ) -> None:
        if isinstance(model, (str, Path)):
            path = find_model(Path(model))
            engine, name = open_engine(path, precision=precision), str(path)
        elif _is_network(model):
            from keras_fcn.inference.engines.keras_model import engine_of

            engine = engine_of(model, precision)
        elif classes is None:
            raise UserError(f"Predictor takes a model or a path, or a function and its classes. Received: {model!r}")
        else:
            engine = Engine("", classes, model, score, decide=decide or Decision(), channels=channels)
        self._tiled: Tiled | None = None
        self._large: WholeImages | None = None
        self.segment, self.classes, self.decide = engine.segment, engine.classes, engine.decide
        self._own, self._unused = engine.decide, list[str]()
        self.limits, self.program, self.channels = engine.whole, engine.program, engine.channels
        self._score, self._name, self._fix, self._sight = engine.score, name, engine.fix, engine.sight

    @classmethod
    def ensemble(cls, predictors: Sequence[Predictor]) -> Predictor:
        """Returns a predictor by the mean of several models' probabilities.

        Raises:
            UserError: If they have different classes, or one returns classes only.
        """
        first, *others = predictors
        for other in others:
            other.require_channels(first.channels, other._name)
            if other.classes.names != first.classes.names:
                is_same = {*other.classes.names} == {*first.classes.names}
                what = "the classes in another order" if is_same else "other classes"
                raise UserError(f"{other._name}: has {what} than {first._name}; an ensemble's have the same")
        probabilities = mean_of([predictor.score for predictor in predictors])
        name = ", ".join(predictor._name for predictor in predictors)
        segment = lambda images: mean.decide(probabilities(images))  # noqa: E731
        mean: Predictor = cls(segment, first.classes, probabilities, name, channels=first.channels)
        limits = [predictor.limits for predictor in predictors if predictor.limits is not None]
        mean.limits = min(limits, key=lambda one: one.most_pixels, default=None)
        mean._sight = farthest([predictor._sight for predictor in predictors if predictor._sight is not None])
        mean._unused = [predictor._name for predictor in predictors if predictor.decide.thresholds]
        mean.program = ", ".join(dict.fromkeys(predictor.program for predictor in predictors))
        return mean

    @classmethod
    def open(
        cls,
        path: str | Path | Sequence[str | Path],
        options: InferenceOptions | None = None,
        decision: Decision | None = None,
    ) -> Predictor:
        """Loads a run folder (its best model), a SavedModel (of several versions, the newest), or a file.

        Args:
            path: The run folder, SavedModel, or `.keras`, `.onnx`, `.xml` or `.tflite` file; several are an ensemble.
            options: Flipping, scales and tiles; none if not given.
            decision: How probabilities become classes; as for `using`.

        Raises:
            UserError: If there is no such model, or the same one twice, it is damaged, or it was not written by this
                program.
        """
        paths = [path] if isinstance(path, (str, Path)) else path
        require_each_once([find_model(Path(one)).resolve() for one in paths])
        options = options or InferenceOptions()
        opened = [cls(one, precision=options.precision) for one in paths]
        return (opened[0] if len(opened) == 1 else cls.ensemble(opened)).using(options, decision)

    def using(self, options: InferenceOptions, decision: Decision | None = None) -> Predictor:
        """Returns a predictor that applies flipping, scales and tiles to this one, and a decision to what that gives.

        Args:
            options: The options. Their thresholds come first, then those of `decision`, then the model's own.
            decision: How probabilities become classes; as before if not given.

        Raises:
            UserError: If the options need probabilities, and the model returns classes only.
        """
        decision = decision or self.decide
        if options.threshold:
            decision = decision.with_thresholds(options.threshold, self.classes)
        elif not decision.thresholds:
            decision = dataclasses.replace(decision, thresholds=self.decide.thresholds)
        if options.is_direct and decision == self.decide:
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
            found = Predictor(tiled.segment, self.classes, tiled.probabilities, self._name, decision, self.channels)
            found._tiled = tiled
        else:
            segment = lambda images: decision(probabilities(images))  # noqa: E731
            found = Predictor(segment, self.classes, probabilities, self._name, decision, self.channels)
        found._own, found._large, found.program = self._own, self.limits or self._large, self.program
        if options.tile is None and not options.is_averaged:
            found.limits = self.limits
        found._sight, found._unused = self._sight, self._unused
        return found

    def tile_note(self, options: InferenceOptions) -> str | None:
        """Returns a line if these tiles do not give what the whole image gives, as far as the network tells.

        Args:
            options: The options with the tiles.
        """
        if options.tile is None or self._sight is None:
            return None
        with contextlib.suppress(ValueError):  # a layer of a custom backbone that is not known
            line = tile_note(self._sight(), options)
            return line and f"{self._name}: {line}"
        return None

    @property
    def threshold_note(self) -> str:
        """Returns a line on thresholds that are kept in the model, used or replaced; empty if it has none."""
        return threshold_note(self._name, self._own, self.decide, self._unused, self.classes)

    @property
    def segment_any_size(self) -> Segment:
        """Returns `segment`, in tiles for images that would not fit into memory as a whole.

        A function, and a predictor with flips, scales or tiles take each image as `segment` does.
        """
        return self.segment if self.limits is None else self.limits.segmenter(self.segment, self.score, self.decide)

    def require_channels(self, channels: Channels, name: str) -> None:
        """Raises UserError if the model takes images of another number of channels.

        Args:
            channels: The channels that are read.
            name: The model's name in the message.
        """
        if channels.count != self.channels.count:
            received = argument("channels", channels.text)
            raise UserError(f"{name} takes images of {self.channels.count} channels. Received: {received}")

    def reading(self, channels: str | None) -> Predictor:
        """Returns the predictor that reads other channels of files than it was trained on; the same without any.

        Raises:
            UserError: If their number is another.
        """
        if channels is None:
            return self
        self.require_channels(Channels(channels), self._name)
        found = copy.copy(self)
        found.channels = Channels(channels)
        return found

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
    def has_probabilities(self) -> bool:
        """True if the model gives probabilities."""
        return self._score is not None

    @property
    def score(self) -> ProbabilityFunction:
        """Returns the function from images uint8 [N, H, W, 3] to class probabilities float32 [N, H, W, C].

        Raises:
            UserError: If the model returns classes only.
        """
        if self._score is None:
            options = f"{argument('temperature')}, {argument('threshold')}, {argument('unsure')}"
            raise UserError(
                f"{self._name}: returns classes without probabilities, which flips, scales, tiles, {options}, "
                f"calibration and the outputs probabilities, confidence and to_label need; {self._fix}"
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
        return np.asarray(self.segment(as_image(image, self.channels)[None]))[0]

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
        return np.asarray(self.score(as_image(image, self.channels)[None]))[0]


def _is_network(model: Any) -> bool:
    """Returns whether a model is one of Keras', which is not loaded to know it."""
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(model, keras.Model)
