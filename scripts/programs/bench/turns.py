"""Contestants in processes of their own take turns, so that whatever slows the machine slows all of them alike."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

DISTURBANCE = 0.12
"""Cores taken by strangers from which on a turn does not count."""

ATTEMPTS = 4
"""Times that a turn is taken until one is undisturbed; the last counts in any case, and is told of."""


@dataclass
class Turn:
    """steps in `seconds`; `disturbed`: strangers took part of the machine."""

    steps: int
    seconds: float
    peak_bytes: int
    disturbed: bool = False

    @property
    def rate(self) -> float:
        """Steps a second."""
        return self.steps / self.seconds


@dataclass
class Score:
    """What a contestant did: seconds from its start to the end of its first step by launch, and its turns by round."""

    name: str
    start_ups: list[float] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Steps a second, the median of the rounds."""
        return median(turn.rate for turn in self.turns)

    @property
    def overall_rate(self) -> float:
        """Steps a second over all turns together: what happens rarely counts by its share."""
        return sum(turn.steps for turn in self.turns) / sum(turn.seconds for turn in self.turns)

    @property
    def peak_bytes(self) -> int:
        return max(turn.peak_bytes for turn in self.turns)

    def over(self, rival: "Score") -> list[float]:
        """How many times as fast it is as `rival`, by round."""
        return [own.rate / other.rate for own, other in zip(self.turns, rival.turns, strict=True)]


class Contestant:
    """A process of `bench.contestant` (or any that talks like it); what it prints goes to `log`."""

    def __init__(self, name: str, command: list[str], log: Path):
        """command: arguments of `python -m`: a module, what it is to be, and what it needs for that."""
        self.name, self.log = name, log
        receiving, sending = os.pipe()
        with log.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *command[:2], str(sending), *command[2:]],
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=file,
                pass_fds=[sending],
                start_new_session=True,
                text=True,
            )
        os.close(sending)
        self.replies = os.fdopen(receiving)

    def first_step(self) -> float:
        """Seconds from the start of the process to the end of its first step."""
        return self.reply()["first_step"]

    def turn(self, seconds: float) -> Turn:
        """Let it train for at least so many seconds."""
        print(seconds, file=self.process.stdin, flush=True)
        return Turn(**self.reply())

    def reply(self) -> dict:
        """What the process says next. `RuntimeError` with the end of its log where it has ended instead."""
        line = self.replies.readline()
        if not line:
            raise RuntimeError(f"{self.name}: ended with code {self.process.wait()}\n{self.log.read_text()[-2000:]}")
        return json.loads(line)

    def end(self) -> None:
        self.process.stdin.close()
        self.replies.close()
        self.process.wait()


def race(commands: dict[str, list[str]], folder: Path, rounds: int, seconds: float, launches: int) -> dict[str, Score]:
    """The scores of all contestants, given as `Contestant` commands by name.

    launches: how often each is started for its start-up time; the last one stays for the turns.
    """
    scores = {name: Score(name) for name in commands}
    with _started(commands, folder, launches, scores) as contestants:
        for number in range(rounds):
            for contestant in contestants if number % 2 == 0 else reversed(contestants):
                scores[contestant.name].turns.append(_undisturbed(contestant, contestants, seconds))
    return scores


def race_beside(commands: dict[str, list[str]], folder: Path, rounds: int, seconds: float) -> dict[str, list[Score]]:
    """The scores of all contestants alone and beside one busy process, which take turns."""
    scores = {name: [Score(f"{name}, alone"), Score(f"{name}, beside")] for name in commands}
    with _started(commands, folder, 1, {name: alone for name, (alone, _) in scores.items()}) as contestants:
        for number in range(rounds):
            for contestant in contestants if number % 2 == 0 else reversed(contestants):
                alone, beside = scores[contestant.name]
                alone.turns.append(_undisturbed(contestant, contestants, seconds))
                with _busy() as neighbour:
                    beside.turns.append(_undisturbed(contestant, contestants, seconds, neighbour))
    return scores


@contextmanager
def _started(
    commands: dict[str, list[str]], folder: Path, launches: int, scores: dict[str, Score]
) -> Iterator[list[Contestant]]:
    """The contestants, which are started here, and have made their first step."""
    contestants: list[Contestant] = []
    try:
        for name, command in commands.items():
            for launch in range(launches):
                contestants.append(Contestant(name, command, folder / f"{name}.log".replace(" ", "-")))
                scores[name].start_ups.append(contestants[-1].first_step())
                if launch < launches - 1:
                    contestants.pop().end()
        yield contestants
    finally:
        for contestant in contestants:
            contestant.end()


@contextmanager
def _busy() -> Iterator[int]:
    """A process that takes a core as long as the block lasts; gives its session."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"], start_new_session=True) as process:
        try:
            yield process.pid
        finally:
            process.kill()


def _undisturbed(contestant: Contestant, all_of_them: Iterable[Contestant], seconds: float, *invited: int) -> Turn:
    """A turn in which nobody took part of the machine but processes of the sessions `invited`."""
    sessions = {*invited, *(other.process.pid for other in all_of_them)}
    for _ in range(ATTEMPTS):
        begin, before = time.monotonic(), strangers_seconds(sessions)
        turn = contestant.turn(seconds)
        taken = strangers_seconds(sessions) - before
        turn.disturbed = taken > DISTURBANCE * (time.monotonic() - begin)
        if not turn.disturbed:
            break
    return turn


def strangers_seconds(sessions: set[int]) -> float:
    """Seconds of processor time that all but this process and those of `sessions` (ids) have used since the boot.

    What ended meanwhile counts as a stranger, so sessions should live through the time that is measured.
    """
    user, nice, system, _, _, irq, softirq = map(int, Path("/proc/stat").read_text().split()[1:8])
    own = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            fields = (process / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:  # it has just ended
            continue
        if int(process.name) == os.getpid() or int(fields[3]) in sessions:
            own += sum(map(int, fields[11:15]))
    return (user + nice + system + irq + softirq - own) / os.sysconf("SC_CLK_TCK")
