"""What the workers of a cluster say of themselves when they meet, and what must be alike in all of them."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import uuid
from itertools import chain
from typing import Any

from keras_fcn.errors import argument
from keras_fcn.training.distributed.cluster import Cluster


@dataclasses.dataclass(frozen=True)
class Introduction:
    """What a worker says of itself; all of it can be written as JSON.

    Attributes:
        index: Its index among all workers.
        name: Its name in TF_CONFIG, "worker 1".
        cluster: The addresses of all workers, by task type.
        versions: The programs that must have one version everywhere.
        settings: The settings of the run.
        host: The name of its machine, and its process there.
        process: A text that no other process has.
    """

    index: int
    name: str
    cluster: dict[str, list[str]]
    versions: dict[str, str]
    settings: dict[str, Any]
    host: str = ""
    process: str = ""

    @classmethod
    def of(cls, cluster: Cluster, versions: dict[str, str], settings: dict[str, Any]) -> Introduction:
        """Returns what this process says of itself."""
        addresses = {task: list(of_task) for task, of_task in cluster.addresses.items()}
        host = f"{socket.gethostname()} (process {os.getpid()})"
        settings = json.loads(json.dumps(settings))  # as the others will read them
        return cls(cluster.index, cluster.name, addresses, versions, settings, host, uuid.uuid4().hex)

    def to_json(self) -> dict[str, Any]:
        """Returns it as JSON's types."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Introduction:
        """Reads what `to_json` returned, in any version of this package.

        Raises:
            TypeError: If it is something else.
        """
        if not isinstance(content, dict):
            raise TypeError(f"must be an object. Received: {content!r}")
        known = {field.name for field in dataclasses.fields(cls)}
        return cls(**{name: value for name, value in content.items() if name in known})


def disagreement(one: Introduction, other: Introduction) -> str:
    """Returns a line about what differs between two workers and must not, alike in both; empty if nothing does."""
    one, other = sorted((one, other), key=lambda each: (each.index, each.host, each.process))
    if one.versions != other.versions:
        return (
            f"the workers have different versions: {_differing(one.versions, other.versions, one, other)}; install "
            "the same everywhere"
        )
    if one.index == other.index:
        return (
            f"TF_CONFIG: two processes are {one.name}, on {one.host} and {other.host}; give each worker an index of "
            "its own"
        )
    if one.cluster != other.cluster:
        lists = {each.name: ", ".join(chain.from_iterable(each.cluster.values())) for each in (one, other)}
        has = " and ".join(f"{name} has {addresses}" for name, addresses in lists.items())
        return f"TF_CONFIG: the workers have different lists of all workers: {has}; give all of them the same"
    if one.settings != other.settings:
        settings, others = ({argument(name): value for name, value in each.settings.items()} for each in (one, other))
        return (
            f"the workers have different settings: {_differing(settings, others, one, other)}; start all of them with "
            "the same options"
        )
    return ""


def _differing(of_one: dict[str, Any], of_other: dict[str, Any], one: Introduction, other: Introduction) -> str:
    """Returns which values differ, the first three of them: "--seed is 1 in worker 0 and 2 in worker 1"."""
    names = [name for name in {**of_one, **of_other} if of_one.get(name) != of_other.get(name)]
    values = ((name, _text(of_one.get(name)), _text(of_other.get(name))) for name in names[:3])
    told = ", ".join(f"{name} is {first} in {one.name} and {second} in {other.name}" for name, first, second in values)
    return told + f", and {len(names) - 3} more" * (len(names) > 3)


def _text(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
