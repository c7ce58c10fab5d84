"""Hostile inputs, counted by what they are; those that carry code which would leave a trace are counted apart."""

from collections.abc import Iterator
from pathlib import Path

from faults import hostile
from faults.report import Row

CARRIERS = ("code", "objects", "pickle", "target", "extension", "checkpoint: evaluation")
"""Parts of the names of cases that carry code, or name code to be run."""

MEMORY = 2**30
"""Bytes above those of a harmless command that a case may take."""


def campaign(work: Path, carriers: bool) -> list[Row]:
    """A row for each kind of input; only those cases that carry code, or only the others."""
    harmless = hostile.baseline(work / "baseline")
    rows: dict[str, Row] = {}
    for number, case in enumerate(hostile.CASES):
        if carriers == any(part in case.name for part in CARRIERS):
            kind = case.name.partition(":")[0]
            row = rows.setdefault(kind, Row("canary" if carriers else "hostile", kind))
            row.add(case.name, problems(case, hostile.run(case, work / str(number)), harmless))
    return list(rows.values())


def problems(case: hostile.Case, outcome: hostile.Outcome, harmless: int) -> Iterator[str]:
    """What is wrong with how `case` was met."""
    if outcome.code != case.code or case.says not in outcome.err:
        yield f"exits with {outcome.code}: {outcome.err.strip()[-500:]}"
    if "Traceback" in outcome.err + outcome.out:
        yield "shows a traceback"
    changed = outcome.changed if case.code else [path for path, _ in outcome.changed if not path.startswith("run")]
    if changed:
        yield f"leaves {changed[:5]}"
    if case.run and not outcome.loaded.startswith("ValueError: "):
        yield f"genlab.load says {outcome.loaded}"
    if outcome.peak - harmless >= MEMORY:
        yield f"takes {(outcome.peak - harmless) / 2**30:.1f} GiB"
