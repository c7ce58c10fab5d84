"""The tables of the benchmark, in plain text or Markdown, with what they hold for."""

import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from statistics import median

import torch
from bench.breakdown import PIECES, share_outside
from bench.measure import Row
from bench.turns import Score

from genlab.system import cores

Table = list[tuple[str, ...]]

HEADINGS = (
    *("workload", "precision", "GenLab img/s", "plain loop img/s", "GenLab / plain", "over all turns"),
    *("usual img/s", "GenLab / usual", "start-up s", "memory MiB", "of ceiling"),
)

NOTES = (
    "img/s: images a second (pairs for CycleGAN) in steady training, GenLab with all its logging, previews and "
    "checkpoints; median of the rounds. GenLab / plain: median [least, most] of the rounds' ratios; over all turns: "
    "ratio of all images over all seconds. Usual: the script of tutorials, in fp32. Start-up: from the start of the "
    "process to the end of its first step, and memory: most held, each GenLab / plain loop. Of ceiling: FLOP/s of "
    "GenLab's steps over those of a large matrix product in the same precision. Disturbed: turns in which other "
    "processes took part of the machine."
)


LOGGING_NOTES = "Steps a second with logging, previews and checkpoints at their defaults, and without any of them."

NEIGHBOUR_NOTES = (
    "Steps a second, medians of the rounds, by turns alone and beside one process that takes a core. Kept: "
    "median [least, most] of the rounds' ratios; of two cores, a half is left."
)

PROFILE_NOTES = (
    "Milliseconds of a step: medians, and for logging (rows, previews, checkpoints) the mean over all steps. Loop: "
    "what no piece accounts for. Outside: the part of a step that is none of model, loss, backward and optimizer."
)


def comparison(rows: Sequence[Row]) -> Table:
    """How GenLab does against the plain loop and the usual script."""
    ceilings: dict[str, float] = {}
    for row in rows:  # the best of all measurements: none can be too good, but any may have been disturbed
        ceilings[row.settings.precision] = max(row.ceiling, ceilings.get(row.settings.precision, 0.0))
    return [HEADINGS, *(_cells(row, ceilings[row.settings.precision]) for row in rows)]


def _cells(row: Row, ceiling: float) -> tuple[str, ...]:
    def images(score: Score) -> str:
        return f"{row.workload.batch_size * score.rate:,.{0 if row.workload.batch_size > 1 else 2}f}"

    ratios = row.genlab.over(row.plain)
    start_ups = (f"{median(score.start_ups):.1f}" for score in (row.genlab, row.plain))
    memory = (f"{score.peak_bytes / 2**20:.0f}" for score in (row.genlab, row.plain))
    disturbed = sum(turn.disturbed for score in (row.genlab, row.plain) for turn in score.turns)
    warning = f", {disturbed} disturbed" if disturbed else ""
    return (
        row.workload.name,
        f"{row.settings.precision}, {row.settings.memory_format}",
        images(row.genlab),
        images(row.plain),
        f"{median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}]{warning}",
        f"{row.genlab.overall_rate / row.plain.overall_rate:.2f}",
        images(row.usual) if row.usual else "skipped",
        f"{median(row.genlab.over(row.usual)):.1f}" if row.usual else "skipped",
        " / ".join(start_ups),
        " / ".join(memory),
        f"{100 * row.flop * row.genlab.rate / ceiling:.0f} %",
    )


def profile(breakdowns: dict[tuple[str, str], dict[str, float]]) -> Table:
    """Milliseconds of a step by piece; `breakdowns` by workload and precision."""
    lines: Table = [("workload", "precision", *(f"{piece} ms" for piece in (*PIECES, "loop", "step")), "outside")]
    for names, milliseconds in breakdowns.items():
        pieces = (f"{milliseconds[piece]:.3f}" for piece in (*PIECES, "loop", "step"))
        lines.append((*names, *pieces, f"{100 * share_outside(milliseconds):.1f} %"))
    return lines


def logging(costs: Sequence[tuple[str, str, Score, Score]]) -> Table:
    """What logging, previews and checkpoints take; `costs` by workload and precision: scores with and without them."""
    lines: Table = [("workload", "precision", "steps/s", "without", "cost over all turns", "rounds")]
    for workload, precision, telling, silent in costs:
        ratios = telling.over(silent)
        lines.append(
            (
                *(workload, precision, f"{telling.overall_rate:.1f}", f"{silent.overall_rate:.1f}"),
                f"{100 * (1 - telling.overall_rate / silent.overall_rate):.1f} %",
                f"{median(ratios):.3f} [{min(ratios):.3f}, {max(ratios):.3f}]",
            )
        )
    return lines


def neighbour(costs: Sequence[tuple[str, str, str, Score, Score]]) -> Table:
    """What a busy process takes; `costs` by workload, precision and `device.spin`: scores alone and beside it."""
    lines: Table = [("workload", "precision", "device.spin", "alone steps/s", "beside steps/s", "kept")]
    for workload, precision, spin, alone, beside in costs:
        ratios = beside.over(alone)
        disturbed = sum(turn.disturbed for turn in (*alone.turns, *beside.turns))
        kept = f"{median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}]"
        kept += f", {disturbed} disturbed" if disturbed else ""
        lines.append((workload, precision, spin, f"{alone.rate:.1f}", f"{beside.rate:.1f}", kept))
    return lines


def plain(table: Table) -> str:
    """Aligned columns."""
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in table]
    return "\n".join(line.rstrip() for line in lines)


def markdown(table: Table) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (table[0], ["---"] * len(table[0]), *table[1:]))


def head(command: str) -> str:
    """When, where and with which versions `command` measured."""
    features = [name for name in ("avx2", "avx512_bf16", "amx_bf16") if torch.cpu.get_capabilities().get(name)]
    return (
        f"`{command}`, {date.today()}: {_processor()}, {cores.available()} cores ({', '.join(features)}), "
        f"{platform.system()}, Python {platform.python_version()}, torch {torch.__version__}, "
        f"GenLab at commit {_commit()}."
    )


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _commit() -> str:
    def git(*arguments: str) -> str:
        command = ["git", "-C", os.path.dirname(__file__), *arguments]
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()

    changed = " (with changes)" if git("status", "--porcelain") else ""
    return (git("rev-parse", "--short", "HEAD") or "unknown") + changed
