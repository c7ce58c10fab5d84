"""The best job of a sweep, from the files of its jobs."""

import math
from contextlib import suppress
from pathlib import Path

from genlab.checkpoints.folder import SweepFolder
from genlab.comparison.records import collect, find_runs
from genlab.comparison.same_data import different_data
from genlab.config.options import read_option
from genlab.config.paths import options
from genlab.system.small_files import read_json


def best_job(sweep: SweepFolder) -> tuple[Path, str]:
    """The finished job with the best value of the metric that ranks the sweep, and why it was taken. `ValueError` if no
    job is the best."""
    records, _ = collect(find_runs([sweep.path]))
    finished = [record for record in records if record.status.startswith("finished")]
    if not finished:
        raise ValueError(f"run={sweep}: no job of this sweep has finished; name one, as in run={sweep}/0")
    if reason := different_data([record.settings for record in finished], [record.data for record in finished]):
        raise ValueError(f"run={sweep}: its jobs have different data ({reason}); name one, as in run={sweep}/0")
    directions = {name: direction for record in finished for name, direction in record.directions.items()}
    metric = _asked(sweep) or next(iter(directions), "")
    ranked = [record for record in finished if math.isfinite(record.metrics.get(metric, math.nan))]
    if metric not in directions or not ranked:
        ranking = f"no finished job has a value of {metric}" if metric else "nothing ranks its jobs"
        raise ValueError(f"run={sweep}: {ranking}; name one, as in run={sweep}/0")
    best = (max if directions[metric] == "max" else min)(ranked, key=lambda record: record.metrics[metric])
    return best.folder, f"best of {len(ranked)} jobs: {metric} {best.metrics[metric]:.5g}"


def _asked(sweep: SweepFolder) -> str | None:
    """The metric that the sweep's command line, or its file, asks for; None for the model's own."""
    found = None
    with suppress(ValueError, KeyError, TypeError, AttributeError):  # a damaged file, perhaps a stranger's
        settings = dict(str(line).partition("=")[::2] for line in read_json(sweep.request)["overrides"])
        if (name := settings.get("sweep")) in options("sweep"):
            found = read_option("sweep", name).get("sweep", {}).get("metric")
        found = settings.get("sweep.metric", found)
    return found.strip("\"'") if isinstance(found, str) and found != "null" else None
