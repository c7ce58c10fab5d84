"""SIGKILL at random moments, resumed until the run is finished: it must be the run that nobody killed, to the bit."""

import random
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path

from faults.laboratory import MODELS, Laboratory, Reference, ended, finish, resume, train
from faults.launch import Child, genlab
from faults.report import Row


@dataclass
class Plan:
    """One run to be killed.

    kills: how often at most; real: in processes from the start, not forked; number: names its folder.
    """

    number: int
    reference: Reference
    kills: int
    real: bool


@dataclass
class Outcome:
    """What became of a plan: in which phases kills landed, and what was wrong."""

    plan: Plan
    phases: list[str] = field(default_factory=list)
    alone: int = 0
    problems: list[str] = field(default_factory=list)


def campaign(laboratory: Laboratory, runs: int, seed: int, at_once: int = 2) -> list[Row]:
    """`runs` runs over all models and varieties, one in ten of them in processes that nothing was imported into."""
    random_numbers = random.Random(seed)
    recipes = [laboratory.recipe(model, variety) for model in MODELS for variety in laboratory.varieties(model)]
    random_numbers.shuffle(recipes)
    with ThreadPoolExecutor(at_once) as pool:
        references = list(pool.map(laboratory.reference, recipes[:runs], (f"reference-{n}" for n in range(runs))))
        plans = [
            Plan(number, reference, random_numbers.randint(1, 3), number % 10 == 9)
            for number, reference in enumerate(islice(cycle(references), runs))
        ]
        seeds = [random_numbers.random() for _ in plans]
        outcomes = list(pool.map(lambda plan, seed: told(disturb(laboratory, plan, seed)), plans, seeds))
    return rows(outcomes)


def told(outcome: Outcome) -> Outcome:
    """Say how a run went, as the campaign takes long."""
    where = f"{outcome.plan.reference.recipe}{', real processes' if outcome.plan.real else ''}"
    verdict = "; ".join(outcome.problems[:3]) or "the same"
    print(f"kills {outcome.plan.number}: {where}: {', '.join(outcome.phases)}: {verdict}", flush=True)
    return outcome


def disturb(laboratory: Laboratory, plan: Plan, seed: float) -> Outcome:
    """Kill and resume; again in a new folder where every kill came after the end."""
    random_numbers = random.Random(seed)
    for attempt in range(10):
        outcome = Outcome(plan)
        folder = laboratory.work / f"killed-{plan.number}-{attempt}"
        outcome.problems += _kill_and_finish(folder, outcome, random_numbers)
        if outcome.phases or outcome.problems:
            return outcome
    raise AssertionError(f"{plan.reference.recipe}: ends before every kill")


def _kill_and_finish(folder: Path, outcome: Outcome, random_numbers: random.Random) -> Iterator[str]:
    plan = outcome.plan
    for _ in range(plan.kills):
        if not (folder / "config.yaml").is_file():
            yield from _nothing_to_resume(folder, plan)
            arguments = train(plan.reference.recipe, folder)
        else:
            arguments = resume(folder)
        child = Child(arguments, Laboratory.log(folder), real=plan.real)
        alone = random_numbers.random() < 0.25
        if not _kill(child, folder, plan, random_numbers, alone):
            yield from ended(child, plan.reference, folder)
            return
        outcome.phases.append(phase(folder))
        outcome.alone += alone
    yield from finish(plan.reference, folder, real=plan.real)


def _nothing_to_resume(folder: Path, plan: Plan) -> Iterator[str]:
    """A folder of which not even the config was written cannot be resumed, and says so."""
    if folder.exists():
        code, printed = genlab(resume(folder), Laboratory.log(folder))
        if code != 2 or "Traceback" in printed:
            yield f"resume without config.yaml exits with {code}: {printed.strip()[-500:]}"


def _kill(child: Child, folder: Path, plan: Plan, random_numbers: random.Random, alone: bool) -> bool:
    """Kill at a random moment of the run, every third time within the next save; False where it ended before.

    alone: the first process only, as `kill -9 PID` does; what it started is left to notice.
    """
    seconds = plan.reference.seconds + (2.5 if plan.real else 0)  # for imports
    within_save = random_numbers.random() < 1 / 3
    time.sleep(random_numbers.uniform(0, seconds * (0.8 if within_save else 1)))
    if within_save:
        child.watch(lambda: saving(folder))
    if child.wait(0) is not None:
        return False
    child.kill(group=not alone)
    return True


def saving(folder: Path) -> bool:
    """Whether a checkpoint is being written, or was when the run died."""
    return any((folder / "checkpoints").glob(".*"))


def phase(folder: Path) -> str:
    """What the run that died in `folder` was doing."""
    if not (folder / "config.yaml").is_file():
        return "before the folder was set up"
    if saving(folder):
        return "during a save"
    if not any((folder / "checkpoints").glob("*.safetensors")):
        return "before the first checkpoint"
    return "after a checkpoint"


def rows(outcomes: list[Outcome]) -> list[Row]:
    """A row for each model, whose remarks count where kills landed."""
    found = []
    for model in MODELS:
        row = Row("kills", f"SIGKILL, {model}")
        mine = [outcome for outcome in outcomes if outcome.plan.reference.recipe.model == model]
        for outcome in mine:
            where = f"run {outcome.plan.number}, {outcome.plan.reference.recipe.variety}, {outcome.phases}"
            row.add(where, outcome.problems)
        phases = Counter(phase for outcome in mine for phase in outcome.phases)
        alone, real = sum(outcome.alone for outcome in mine), sum(outcome.plan.real for outcome in mine)
        row.remarks = f"{phases.total()} kills: " + ", ".join(f"{n} {name}" for name, n in sorted(phases.items()))
        row.remarks += f"; {alone} of the first process alone; {real} runs in real processes"
        found.append(row)
    return [row for row in found if row.cases]
