"""Learning-rate schedules: functions of progress alone, so that a resumed run needs no scheduler state."""

import math
from abc import ABC, abstractmethod


class Schedule(ABC):
    """Maps progress in (0, 1), the middle of a step as a share of the run, to a multiplier of every learning rate."""

    @abstractmethod
    def __call__(self, progress: float) -> float: ...


def _share(name: str, value: float) -> float:
    if not 0 <= value <= 1:
        raise ValueError(f"schedule.{name}={value}: must be a share between 0 and 1")
    return value


class Constant(Schedule):
    """The full rate throughout."""

    def __call__(self, progress: float) -> float:
        return 1.0


class LinearDecay(Schedule):
    """The full rate until `decay_start`, then a straight line to `final` (Zhu et al. 2017, section 7.1)."""

    def __init__(self, decay_start: float = 0.5, final: float = 0.0):
        self.decay_start = _share("decay_start", decay_start)
        self.final = _share("final", final)

    def __call__(self, progress: float) -> float:
        if progress <= self.decay_start:
            return 1.0
        return 1 - (1 - self.final) * (progress - self.decay_start) / (1 - self.decay_start)


class WarmupCosine(Schedule):
    """A straight rise over `warmup`, then half a cosine to `final` (Loshchilov and Hutter 2017, without restarts)."""

    def __init__(self, warmup: float = 0.05, final: float = 0.0):
        self.warmup = _share("warmup", warmup)
        self.final = _share("final", final)

    def __call__(self, progress: float) -> float:
        if progress < self.warmup:
            return progress / self.warmup
        remaining = (progress - self.warmup) / (1 - self.warmup)
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * remaining)) / 2
