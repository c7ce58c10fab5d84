"""The fault campaign: everything that can go wrong around a run is done to tiny ones, and counted."""

import argparse
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from faults import damage, disk, kills, locks, memory, report, signals, sweeps
from faults.laboratory import Laboratory

Section = Callable[[Laboratory, argparse.Namespace], list[report.Row]]

SECTIONS: dict[str, Section] = {
    "kills": lambda laboratory, options: kills.campaign(laboratory, options.runs, options.seed),
    "damage": lambda laboratory, options: damage.campaign(laboratory, options.seed),
    "hostile": lambda laboratory, options: _strangers(laboratory, carriers=False),
    "canary": lambda laboratory, options: _strangers(laboratory, carriers=True),
    "disk": lambda laboratory, options: disk.campaign(laboratory),
    "memory": lambda laboratory, options: memory.campaign(laboratory, options.steps),
    "signals": lambda laboratory, options: signals.campaign(laboratory, options.seed),
    "sweeps": lambda laboratory, options: sweeps.campaign(laboratory, options.seed),
    "locks": lambda laboratory, options: locks.campaign(laboratory),
}


def _strangers(laboratory: Laboratory, carriers: bool) -> list[report.Row]:
    from faults import canary  # imports every command

    return canary.campaign(laboratory.work, carriers)


def main() -> int:
    options = _options()
    torch.set_num_threads(1)  # children are forked two at a time: no core to spare
    work = Path(tempfile.mkdtemp(prefix="genlab-faults-"))
    rows = []
    for name in options.sections or SECTIONS:
        begin = time.monotonic()
        rows += SECTIONS[name](Laboratory(work / name), options)
        print(f"{name}: {time.monotonic() - begin:.0f} s", file=sys.stderr, flush=True)
    problems = [problem for row in rows for problem in row.problems]
    print("\n".join([*problems, "", report.plain(rows)]))
    if options.markdown:
        options.markdown.write_text(report.markdown(rows, f"scripts/faults {shlex.join(sys.argv[1:])}".strip()))
    if problems:
        print(f"\nthe runs are kept in {work}")
        return 1
    shutil.rmtree(work)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/faults", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"{', '.join(SECTIONS)}; default: all")
    parser.add_argument("--runs", type=int, default=100, help="runs to be killed (default: 100)")
    parser.add_argument("--steps", type=int, default=100_000, help="steps of the long run (default: 100000)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and places of all faults (default: 0)")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there as well")
    options = parser.parse_args()
    if unknown := set(options.sections) - SECTIONS.keys():
        parser.error(f"{', '.join(sorted(unknown))}: no such section; there are {', '.join(SECTIONS)}")
    return options


if __name__ == "__main__":
    sys.exit(main())
