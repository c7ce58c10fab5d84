"""What torchrun, or a launcher that sets the same variables, tells the processes that it starts."""

import os


def started_this() -> bool:
    """Whether torchrun started this process."""
    return "RANK" in os.environ


def restarts() -> int:
    """How often torchrun has started all processes again after a failure."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0))
