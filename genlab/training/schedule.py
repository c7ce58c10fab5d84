"""Learning-rate schedules: functions of progress alone, so that a resumed run needs no scheduler state."""

import math
from abc import ABC, abstractmethod


class Schedule(ABC):
    """Maps progress in (0, 1), the middle of a step as a fraction of the run, to a factor on all learning rates."""

    @abstractmethod
    def __call__(self, progress: float) -> float: ...


def _fraction(name: str, value: float) -> float:
    if not 0 <= value <= 1:
        raise ValueError(f"schedule.{name}={value}: must be a fraction between 0 and 1")
    return value


class Constant(Schedule):
    """Full learning rate throughout."""

    def __call__(self, progress: float) -> float:
        return 1.0


class LinearDecay(Schedule):
    """Full learning rate until `decay_start`, then linear decay to `final` (Zhu et al. 2017, section 7.1)."""

    def __init__(self, decay_start: float = 0.5, final: float = 0.0):
        self.decay_start = _fraction("decay_start", decay_start)
        self.final = _fraction("final", final)

    def __call__(self, progress: float) -> float:
        if progress <= self.decay_start:
            return 1.0
        return 1 - (1 - self.final) * (progress - self.decay_start) / (1 - self.decay_start)


class WarmupCosine(Schedule):
    """Linear warmup over `warmup`, then cosine decay to `final` (Loshchilov and Hutter 2017, without restarts)."""

    def __init__(self, warmup: float = 0.05, final: float = 0.0):
        self.warmup = _fraction("warmup", warmup)
        self.final = _fraction("final", final)

    def __call__(self, progress: float) -> float:
        if progress < self.warmup:
            return progress / self.warmup
        remaining = (progress - self.warmup) / (1 - self.warmup)
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * remaining)) / 2
