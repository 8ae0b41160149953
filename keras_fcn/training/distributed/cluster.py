"""The processes that train together, as the environment variable TF_CONFIG names them."""

from __future__ import annotations

import dataclasses
import os

from keras_fcn.errors import UserError, argument
from keras_fcn.runs.names import StrategyName
from keras_fcn.system.text import load_json

_EXAMPLE = '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}'
_TRAINING_TASKS = ("chief", "worker")
_OTHER_TASKS = ("ps", "evaluator")


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The workers of a cluster, and the position of this process among them.

    Attributes:
        addresses: "host:port" of each worker by task type, "chief" (one, if any) and "worker".
        task_type: The type of this process.
        task_index: Its index in `addresses[task_type]`.
    """

    addresses: dict[str, tuple[str, ...]]
    task_type: str
    task_index: int

    @property
    def num_workers(self) -> int:
        """Number of processes that train, the chief included."""
        return sum(len(addresses) for addresses in self.addresses.values())

    @property
    def index(self) -> int:
        """The index of this process among all of them; that of the chief is 0."""
        return self.task_index + (self.task_type == "worker") * len(self.addresses.get("chief", ()))

    @property
    def is_chief(self) -> bool:
        """Returns whether this process writes the run's files and the log."""
        return self.index == 0

    @property
    def name(self) -> str:
        """The name of this process in TF_CONFIG: "worker 1"."""
        return f"{self.task_type} {self.task_index}"

    @property
    def address(self) -> str:
        """The address of this process, "host:port"."""
        return self.addresses[self.task_type][self.task_index]

    @property
    def workers(self) -> list[tuple[str, str]]:
        """The name and the address of each process, the chief first."""
        tasks = (task for task in _TRAINING_TASKS if task in self.addresses)
        return [(f"{task} {index}", address) for task in tasks for index, address in enumerate(self.addresses[task])]


def joined_cluster(strategy: StrategyName) -> Cluster | None:
    """Returns the cluster to train in, or None to train alone.

    Args:
        strategy: "multiworker" takes the cluster of TF_CONFIG, "auto" does if it has several workers, others do not.

    Raises:
        UserError: If TF_CONFIG is malformed, does not let this process train, or is missing where it is needed.
    """
    if strategy not in ("auto", "multiworker"):
        return None
    text = os.environ.get("TF_CONFIG", "").strip()
    cluster = parse_cluster(text) if text not in ("", "{}") else None
    if strategy == "multiworker" and cluster is None:
        raise UserError(
            f"{argument('strategy', 'multiworker')} needs the environment variable TF_CONFIG, such as {_EXAMPLE}"
        )
    return cluster if cluster and (strategy == "multiworker" or cluster.num_workers > 1) else None


def parse_cluster(text: str) -> Cluster | None:
    """Reads a TF_CONFIG as Kubeflow's TFJob, Vertex AI and Ray set it.

    Parameter servers and evaluators are left out, as training does not use them.

    Returns:
        The cluster; None if no cluster is named, as in a job of one process.

    Raises:
        UserError: If the text is malformed, or does not let this process train.
    """
    try:
        config = load_json(text)
    except ValueError as error:
        raise UserError(f"TF_CONFIG: is not JSON ({error}). Received: {text[:200]!r}") from None
    if not isinstance(config, dict):
        raise UserError(f"TF_CONFIG: must be such as {_EXAMPLE}. Received: {text[:200]!r}")
    if not config.get("cluster"):
        return None
    addresses = _addresses(config["cluster"])
    return Cluster(addresses, *_task(config.get("task"), addresses))


def _addresses(entries: object) -> dict[str, tuple[str, ...]]:
    known = (*_TRAINING_TASKS, *_OTHER_TASKS)
    if not isinstance(entries, dict) or not set(entries) <= set(known):
        raise UserError(f"TF_CONFIG: cluster must map {', '.join(known)} to addresses. Received: {entries!r}")
    for task, addresses in entries.items():
        if not isinstance(addresses, list) or not all(map(_is_address, addresses)):
            raise UserError(f'TF_CONFIG: cluster.{task} must be a list of "host:port". Received: {addresses!r}')
    found = {task: tuple(entries[task]) for task in _TRAINING_TASKS if entries.get(task)}
    everyone = [address for addresses in found.values() for address in addresses]
    if not everyone or len(found.get("chief", ())) > 1 or len(set(everyone)) < len(everyone):
        raise UserError(
            f"TF_CONFIG: cluster must have at most one chief, and workers, each at another address. "
            f"Received: {entries!r}"
        )
    return found


def split_address(address: str) -> tuple[str, int]:
    """Returns the host and the port of "host:port"; an IPv6 address stands in brackets."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _is_address(value: object) -> bool:
    if not isinstance(value, str):
        return False
    host, _, port = value.rpartition(":")
    return bool(host) and port.isdigit() and 0 < int(port) < 2**16


def _task(task: object, addresses: dict[str, tuple[str, ...]]) -> tuple[str, int]:
    kind, index = (task.get("type"), task.get("index")) if isinstance(task, dict) else (None, None)
    if kind in _OTHER_TASKS:
        raise UserError(
            f"TF_CONFIG: the task {kind!r} is not used, as all workers train and evaluate; start the job without it"
        )
    count = len(addresses.get(str(kind), ()))
    if not str(index).isdigit() or int(str(index)) >= count:
        raise UserError(
            f"TF_CONFIG: task must have a type of the cluster and an index below the number of such processes. "
            f"Received: {task!r}"
        )
    return str(kind), int(str(index))
