"""A metric of one's own: how well reconstructions keep the edges of images."""

from genlab.evaluation.context import EvaluationContext, MetricValue
from genlab.inference.run import Run
from genlab.metrics.metric import Metric


def measure_edges(run: Run, context: EvaluationContext, seed: int) -> dict[str, MetricValue]:
    """edge_error: mean absolute error of the differences between horizontal neighbours, for pixels in [0, 1]."""

    def error(number, batch):
        x = batch["x"]
        y = run.model.reconstruct(x)
        return (y.diff(dim=-1) - x.diff(dim=-1)).abs().mean().item()

    errors = list(context.over_batches("edges", error))
    return {"edge_error": MetricValue(sum(errors) / len(errors))}


METRICS = {
    "edges": (Metric("data", "error of edges", {"edge_error": "min"}, needs=("reconstruct",)), measure_edges),
}
