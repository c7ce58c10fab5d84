"""What the campaign found: a row for each kind of fault, as a table in plain text or Markdown."""

import os
import platform
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import torch

HEADINGS = ("section", "fault", "cases", "passed", "remarks")


@dataclass
class Row:
    """One kind of fault: what was done, how often, and what was wrong; `remarks` are figures."""

    section: str
    fault: str
    cases: int = 0
    problems: list[str] = field(default_factory=list)
    failed: int = 0
    remarks: str = ""

    def add(self, case: str, problems: Iterable[str]) -> None:
        """Count a case; it passed if there are no `problems`."""
        found = list(problems)
        self.cases += 1
        self.failed += bool(found)
        self.problems += [f"{self.section}: {self.fault}: {case}: {problem}" for problem in found[:5]]

    @property
    def cells(self) -> tuple[str, ...]:
        return self.section, self.fault, str(self.cases), str(self.cases - self.failed), self.remarks


def plain(rows: Sequence[Row]) -> str:
    """The table in aligned columns."""
    table = [HEADINGS, *(row.cells for row in rows)]
    widths = [max(len(line[column]) for line in table) for column in range(len(HEADINGS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in table]
    return "\n".join(line.rstrip() for line in lines)


def markdown(rows: Sequence[Row], command: str) -> str:
    """The table as Markdown, with the date and the versions that it holds for."""
    lines = [f"| {' | '.join(cells)} |" for cells in (HEADINGS, ["---"] * len(HEADINGS), *(row.cells for row in rows))]
    versions = (
        f"Python {platform.python_version()}, torch {torch.__version__}, GenLab at commit {_commit()}, "
        f"{platform.system()}, {os.cpu_count()} cores, CPU"
    )
    return "\n".join([f"`{command}`, {date.today()}: {versions}.", "", *lines, ""])


def _commit() -> str:
    def git(*arguments: str) -> str:
        command = ["git", "-C", str(Path(__file__).parent), *arguments]
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()

    changed = " (with changes)" if git("status", "--porcelain") else ""
    return (git("rev-parse", "--short", "HEAD") or "unknown") + changed
