"""The models of a server, by name: the newest version of each, and versions that have a label."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AsyncExitStack
from pathlib import Path

from export.server.model.servable import Servable
from export.server.model.versions import Versions


class NotServedError(LookupError):
    """A model, version or label that is not served: a line for the client."""


@dataclasses.dataclass(frozen=True)
class Model:
    """The served versions of a model.

    Attributes:
        name: Its name in URLs.
        newest: The newest version.
        labelled: Versions by their labels.
    """

    name: str
    newest: Versions
    labelled: Mapping[str, Versions]

    @classmethod
    def load(
        cls, name: str, folder: Path, labels: Mapping[str, str], load: Callable[[str, Path], Servable]
    ) -> Model:  # fmt: skip
        """Loads the newest version in a folder, and those that have a label.

        Raises:
            UserError: If there is none, or one of these is missing.
        """
        by_number = {number: Versions(folder, load, number) for number in sorted(set(labels.values()))}
        labelled = {label: by_number[number] for label, number in labels.items()}
        return cls(name, Versions(folder, load), labelled)

    @property
    def versions(self) -> list[Versions]:
        """All that is watched."""
        return [self.newest, *dict.fromkeys(self.labelled.values())]

    @property
    def servables(self) -> list[Servable]:
        """The served versions, each once, the newest first."""
        by_version = {one.current.version: one.current for one in reversed(self.versions)}
        return sorted(by_version.values(), key=lambda one: int(one.version), reverse=True)

    @property
    def warning(self) -> str:
        """Why what is served is not what lies in the folder, in one line; empty if it is."""
        return "; ".join(dict.fromkeys(one.warning for one in self.versions if one.warning))

    def find(self, version: str | None = None, label: str | None = None) -> Servable:
        """Returns a version by its number or label, the newest without any; raises NotServedError."""
        if label is not None:
            if label not in self.labelled:
                known = ", ".join(self.labelled) or "none"
                raise NotServedError(f"{self.name} has no label {label}; labels are {known} (--label)")
            return self.labelled[label].current
        if version is None:
            return self.newest.current
        for servable in self.servables:
            if servable.version == version:
                return servable
        served = ", ".join(one.version for one in self.servables)
        raise NotServedError(f"version {version} of {self.name} is not served; version {served} is")


class Models:
    """All models of a server.

    Args:
        models: The models, the first of which pages ask.
    """

    def __init__(self, models: Sequence[Model]) -> None:
        self._models = {model.name: model for model in models}
        self.first = models[0]

    def __iter__(self) -> Iterator[Model]:
        return iter(self._models.values())

    @property
    def names(self) -> list[str]:
        """The names in URLs."""
        return list(self._models)

    @property
    def servables(self) -> list[Servable]:
        """All loaded versions, each once."""
        return list(dict.fromkeys(one.current for model in self for one in model.versions))

    def model(self, name: str) -> Model:
        """Returns a model by its name; raises NotServedError."""
        if name not in self._models:
            raise NotServedError(f"model {name} is not served; {', '.join(self._models)} is")
        return self._models[name]

    @contextlib.asynccontextmanager
    async def watched(self, seconds: float, loader: Executor) -> AsyncIterator[None]:
        """Checks for newer versions every so many seconds while the block runs."""
        async with AsyncExitStack() as stack:
            for model in self:
                for versions in model.versions:
                    await stack.enter_async_context(versions.watched(seconds, loader))
            yield
