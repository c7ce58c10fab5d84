"""The metric that ranks the jobs of a sweep."""

from genlab.config.check import locate
from genlab.contract.settings import RunConfig, SweepConfig
from genlab.metrics.catalogue import directions_of


def objective(config: RunConfig, sweep: SweepConfig) -> tuple[str | None, str | None]:
    """Name of a final metric, as in "validation/elbo", and its direction: "min" or "max".

    `sweep.metric` if set, else the first ranking metric of the model.
    """
    metrics = locate("model", config.model["_target_"]).metrics
    name = sweep.metric or next((f"validation/{metric}" for metric in metrics), None)
    kind, _, metric = (name or "").partition("/")
    return name, (directions_of() if kind == "evaluation" else metrics).get(metric)
