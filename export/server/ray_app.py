"""The server as a deployment of Ray Serve: `serve run export.server.ray_app:deployment directory=DIR`.

Each replica is a complete server, with both protocols, the page and hot reload; Ray scales their number with the
requests, on all machines of a cluster that see the folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from ray import serve

from export.server.options import ServedEngine, ServeOptions
from keras_fcn.runs.names import PrecisionName

REPLICAS = {"min_replicas": 1, "max_replicas": 8, "target_ongoing_requests": 4}
"""Limits of the number of replicas, and the target of concurrent requests for each."""


def deployment(arguments: dict[str, str]) -> serve.Application:
    """Returns the application for `serve run` and `serve.run`.

    Args:
        arguments: "directory", the folder of all versions of the model; "name", its name in URLs, "keras_fcn" if
            not given; "engine" and "precision", "auto" if not given; "cpus" for each replica, 2 if not given.
    """
    directory = Path(arguments["directory"]).absolute()  # replicas work in another folder
    name, engine = arguments.get("name", "keras_fcn"), cast(ServedEngine, arguments.get("engine", "auto"))
    precision = cast(PrecisionName, arguments.get("precision", "auto"))

    def application() -> Any:
        from export.server.process import build

        return build(ServeOptions(directory, name=name, engine=engine, precision=precision))[1]

    options = {"num_cpus": float(arguments.get("cpus", 2))}
    segmentation = serve.deployment(
        serve.ingress(application)(), name="Segmentation", ray_actor_options=options, autoscaling_config=REPLICAS
    )
    return segmentation.bind()
