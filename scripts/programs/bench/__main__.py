"""Race `genlab train` against the same networks in a plain loop by hand and in the usual script, on this CPU."""

import argparse
import json
import shlex
import sys
import time
from dataclasses import asdict
from pathlib import Path

from bench import report, sampling
from bench.measure import Course, Plan, Row, breakdowns, logging_costs, measure, neighbour_costs
from bench.workloads import WORKLOADS


def main() -> int:
    options = _options()
    if options.sampling:
        _tell(sampling.table(8, 1 if options.quick else options.rounds or 3), sampling.NOTES, options)
        return 0
    chosen = [WORKLOADS[name] for name in options.workloads or WORKLOADS]
    plan = Plan(
        rounds=options.rounds or (3 if options.quick else 7),
        seconds=options.seconds or (1.0 if options.quick else 3.0),
        launches=1 if options.quick else 3,
        workers=None if options.quick else options.workers,
    )
    try:
        for workload in chosen:
            _ = Course(workload).root  # data that is missing is told of before anything is measured
    except ValueError as error:
        print(f"scripts/bench: {error}", file=sys.stderr)
        return 2
    rows, profiles, costs, neighbours = [], {}, [], []
    for workload in chosen:
        begin = time.monotonic()
        if options.profile:
            seconds = 5.0 if options.quick else 20.0
            profiles |= {(workload.name, name): pieces for name, pieces in breakdowns(workload, seconds)}
        elif options.neighbour:
            neighbours += [(workload.name, *cost) for cost in neighbour_costs(workload, plan)]
        elif options.logging:
            costs += [(workload.name, *cost) for cost in logging_costs(workload, plan)]
        else:
            rows += measure(workload, plan)
        print(f"{workload.name}: {time.monotonic() - begin:.0f} s", file=sys.stderr, flush=True)
    if options.profile:
        table, notes = report.profile(profiles), report.PROFILE_NOTES
    elif options.neighbour:
        table, notes = report.neighbour(neighbours), report.NEIGHBOUR_NOTES
    elif options.logging:
        table, notes = report.logging(costs), report.LOGGING_NOTES
    else:
        table, notes = report.comparison(rows), report.NOTES
    head = _tell(table, notes, options)
    if options.json:
        options.json.write_text(json.dumps({"head": head, **_records(rows, profiles, costs, neighbours)}, indent=2))
    return 0


def _tell(table: report.Table, notes: str, options: argparse.Namespace) -> str:
    """Print a table, and write it where it is asked for; its first line."""
    head = report.head(f"scripts/bench {shlex.join(sys.argv[1:])}".strip())
    print(f"{head}\n\n{report.plain(table)}\n\n{notes}")
    if options.markdown:
        options.markdown.write_text(f"{head}\n\n{report.markdown(table)}\n\n{notes}\n")
    return head


def _records(rows: list[Row], profiles: dict, costs: list[tuple], neighbours: list[tuple]) -> dict:
    """Everything that was measured, for other programs."""
    return {
        "rows": [{**asdict(row), "workload": row.workload.name, "batch_size": row.workload.batch_size} for row in rows],
        "profile": [{"workload": name, "precision": kind, **pieces} for (name, kind), pieces in profiles.items()],
        "logging": [
            {"workload": name, "precision": kind, "telling": asdict(telling), "silent": asdict(silent)}
            for name, kind, telling, silent in costs
        ],
        "neighbour": [
            {"workload": name, "precision": kind, "spin": spin, "alone": asdict(alone), "beside": asdict(beside)}
            for name, kind, spin, alone, beside in neighbours
        ],
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=f"{', '.join(WORKLOADS)}; default: all")
    parser.add_argument("--quick", action="store_true", help="all workloads in five minutes: without the usual script")
    parser.add_argument("--rounds", type=int, metavar="N", help="turns of each contestant (default: 7, quick: 3)")
    parser.add_argument("--seconds", type=float, metavar="S", help="of a turn at least (default: 3, quick: 1)")
    parser.add_argument("--workers", type=int, default=0, metavar="N", help="of the usual script's loader (default: 0)")
    parser.add_argument("--profile", action="store_true", help="instead, show what a step spends its time on")
    parser.add_argument("--logging", action="store_true", help="instead, show what logging and saving take")
    parser.add_argument("--neighbour", action="store_true", help="instead, show what a busy process beside it takes")
    parser.add_argument("--sampling", action="store_true", help="instead, race the ways to sample pixel by pixel")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there as well")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there as well")
    options = parser.parse_args()
    if unknown := set(options.workloads) - WORKLOADS.keys():
        parser.error(f"{', '.join(sorted(unknown))}: no such workload; there are {', '.join(WORKLOADS)}")
    for name in ("rounds", "seconds"):
        if (value := getattr(options, name)) is not None and value <= 0:
            parser.error(f"--{name} {value}: must be greater than 0")
    return options


if __name__ == "__main__":
    sys.exit(main())
