"""MLflow (https://mlflow.org): `logger=mlflow`, with the extra `genlab[mlflow]`.

Its environment variables hold: MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME (unless `logger.project` is set), and those
of its requests, which by default give up after few tries, as training waits for them.
"""

import importlib
import logging
import os
import re
import time
from io import BytesIO
from typing import Any

from PIL import Image

from genlab.callbacks.logger import RemoteLogger, RunRecord, log
from genlab.media.images import Png

_STATES = {"finished": "FINISHED", "interrupted": "KILLED"}
_MOST_PARAMETERS, _LONGEST = 100, 500
"""Parameters in one request, and characters of one."""

_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}


class MLflow(RemoteLogger):
    """A run of the same name, with a tag for its sweep. Without MLFLOW_TRACKING_URI its store is in RUN/mlflow.

    project: the experiment; None for that of the environment, else genlab.
    """

    key = "mlflow"

    def __init__(self, run: RunRecord, project: str | None = None):
        super().__init__(run)
        self.project = project or os.environ.get("MLFLOW_EXPERIMENT_NAME") or "genlab"
        self.own = run.folder.path.resolve() / "mlflow"
        self.mlflow: Any = None
        self.client: Any = None

    def open(self, known: str | None) -> str:
        for name, value in _PATIENCE.items():
            os.environ.setdefault(name, value)
        self.mlflow = importlib.import_module("mlflow")  # takes seconds, and is not needed otherwise
        for library in ("mlflow", "alembic"):
            logging.getLogger(library).setLevel(logging.WARNING)  # they tell how tables are made
        place, artifacts = os.environ.get("MLFLOW_TRACKING_URI"), None
        if not place:
            self.own.mkdir(exist_ok=True)
            place, artifacts = f"sqlite:///{self.own}/mlflow.db", (self.own / "artifacts").as_uri()
        self.client = self.mlflow.MlflowClient(tracking_uri=place)
        log.info("mlflow: mlflow ui --backend-store-uri %s", place)
        if known is None:
            return self._begin(artifacts)
        there = self.client.get_run(known).info.artifact_uri
        if artifacts and not there.startswith(f"{artifacts}/"):  # a run writes nowhere but in its own folder
            raise ValueError(f"{self.own}: was made in another folder; remove it to begin a new one")
        self.client.update_run(known, status="RUNNING")
        return known

    def _begin(self, artifacts: str | None) -> str:
        """A new run with its settings; returns its id."""
        tags = {"sweep": self.run.sweep} if self.run.sweep else {}
        begun = self.client.create_run(self._experiment(artifacts), tags=tags, run_name=self.run.name).info.run_id
        entity = self.mlflow.entities.Param
        found = [entity(_named(key), str(value)[:_LONGEST]) for key, value in self.run.settings.items()]
        for first in range(0, len(found), _MOST_PARAMETERS):
            self.client.log_batch(begun, params=found[first : first + _MOST_PARAMETERS])
        return begun

    def _experiment(self, artifacts: str | None) -> str:
        """The id of the experiment, which another job of a sweep may make at the same time."""
        found = self.client.get_experiment_by_name(self.project)
        if found is None:
            try:
                return self.client.create_experiment(self.project, artifacts)
            except self.mlflow.exceptions.MlflowException:
                found = self.client.get_experiment_by_name(self.project)
        return found.experiment_id

    def scalars(self, values: dict[str, float], step: int) -> None:
        now, entity = round(1000 * time.time()), self.mlflow.entities.Metric
        metrics = [entity(_named(name), value, now, step) for name, value in values.items()]
        self.client.log_batch(self.id, metrics=metrics)

    def image(self, name: str, image: Png, step: int) -> None:
        self.client.log_image(self.id, Image.open(BytesIO(image.content)), key=_named(name), step=step)

    def text(self, name: str, text: str, step: int) -> None:
        self.client.log_text(self.id, text, f"{_named(name)}/step_{step:07d}.txt")

    def close(self) -> None:
        status = self.run.status
        if status.reason:
            self.client.set_tag(self.id, "reason", status.reason)
        self.client.set_terminated(self.id, _STATES.get(status.state, "FAILED"))


def _named(name: str) -> str:
    """A name with MLflow's characters alone."""
    return re.sub(r"[^\w./ -]", "_", name)
