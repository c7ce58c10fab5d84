"""By what the jobs of a sweep are ranked."""

from omegaconf import DictConfig

from genlab.comparison.records import ranking


def objective(config: DictConfig) -> tuple[str | None, str | None]:
    """Name among the final metrics of a run, as "validation/elbo", and which way is better: "min" or "max".

    What `sweep.metric` says, else what the model of the composed training config ranks by first.
    """
    metrics = ranking(config.model._target_)
    name = config.sweep.metric or next((f"validation/{metric}" for metric in metrics), None)
    kind, _, metric = (name or "").partition("/")
    if kind == "evaluation":
        from genlab.evaluation.evaluate import FIGURES  # scikit-learn takes a second to import

        return name, FIGURES.get(metric)
    return name, metrics.get(metric)
