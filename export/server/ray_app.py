"""The server as a deployment of Ray Serve: `serve run export.server.ray_app:deployment directory=DIR`.

Each replica is a complete server, with both protocols, the page and hot reload; Ray scales their number with the
requests, on all machines of a cluster that see the folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ray import serve

from keras_fcn.system.startup import start_tensorflow

REPLICAS = {"min_replicas": 1, "max_replicas": 8, "target_ongoing_requests": 4}
"""Limits of the number of replicas, and the target of concurrent requests for each."""


def deployment(arguments: dict[str, str]) -> serve.Application:
    """Returns the application for `serve run` and `serve.run`.

    Args:
        arguments: "directory", the folder of all versions of the model; "name", its name in URLs, "keras_fcn" if
            not given; "cpus" for each replica, 2 if not given.
    """
    directory = Path(arguments["directory"]).absolute()  # replicas work in another folder
    name = arguments.get("name", "keras_fcn")

    def application() -> Any:
        start_tensorflow()
        from export.server.options import ServeOptions
        from export.server.process import build

        return build(ServeOptions(directory, name=name))[1]

    options = {"num_cpus": float(arguments.get("cpus", 2))}
    segmentation = serve.deployment(
        serve.ingress(application)(), name="Segmentation", ray_actor_options=options, autoscaling_config=REPLICAS
    )
    return segmentation.bind()
