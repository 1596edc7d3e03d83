"""Serves a model by Ray Serve, a card for each replica, as many replicas as the load asks for.

    serve run ray_serve:app model=./checkpoint least=1 most=8     in this folder

pip install 'rmeval[serve]' 'ray[serve]' on every node. Requests of one replica are put together by
rmeval itself: no @serve.batch, whose waiting time would only be added.
"""

from typing import Any

from ray import serve

import rmeval
from rmeval.serving.app import build_app
from rmeval.serving.settings import Settings

UNDER_WAY = 256  # requests that a replica may have, of which most wait


def app(arguments: dict[str, str]) -> Any:
    """Returns the application for Ray Serve's own command line, with its `name=value` words."""
    settings = Settings(text_template=arguments.get("text_template"))
    path, gpus = arguments["model"], float(arguments.get("gpus", "1"))

    @serve.ingress(lambda: build_app(lambda: rmeval.load_model(path), settings))
    class Rewards:
        pass

    deployment = serve.deployment(
        Rewards,
        ray_actor_options={"num_gpus": gpus},
        max_ongoing_requests=UNDER_WAY,
        autoscaling_config={
            "min_replicas": int(arguments.get("least", "1")),
            "max_replicas": int(arguments.get("most", "1")),
            "target_ongoing_requests": UNDER_WAY // 4,
        },
        graceful_shutdown_timeout_s=180,
    )
    return deployment.bind()
