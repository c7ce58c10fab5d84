"""The progress of a sweep, with the best job so far: a bar on a terminal, else lines; and a line for each job that
ends."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

from genlab.sweeps.overview import Overview, State
from genlab.system.progress import Pace
from genlab.system.text import printable, rounded

_SECONDS_BETWEEN_LOOKS = 0.5

_LAYOUT = "sweep {percentage:3.0f}%|{bar}| {remaining} left{postfix}"
_AROUND = 39
"""Columns of the layout without its text, and with a bar of ten."""


@contextmanager
def shown(overview: Overview) -> Iterator[None]:
    """While the block launches jobs, poll them periodically and keep `summary.csv` and the bar up to date."""
    total, disable = len(overview.states), not sys.stderr.isatty()
    pace = Pace(total, _done(overview))
    with tqdm(total=total, bar_format=_LAYOUT, dynamic_ncols=True, mininterval=0.2, disable=disable) as bar:
        leaving = threading.Event()

        def watch() -> None:
            while not leaving.wait(_SECONDS_BETWEEN_LOOKS):
                _look(overview, bar, pace)

        watcher = threading.Thread(target=watch, name="sweep", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            leaving.set()
            watcher.join()
            _look(overview, bar, pace)


def _look(overview: Overview, bar: tqdm, pace: Pace) -> None:
    ended = overview.update()
    for state in ended:
        bar.write(ending(overview, state), file=sys.stderr)
    overview.write()
    text = f"{overview.count('finished')} of {len(overview.states)} finished, {overview.count('running')} running"
    if failed := overview.count("failed"):
        text += f", {failed} failed"
    if (best := overview.best) and (value := overview.value(best)) is not None:
        more = f"{text}, best {overview.metric} {rounded(value, 4)} (job {best.number})"
        text = more if bar.disable or len(more) + _AROUND <= (bar.format_dict["ncols"] or 80) else text
    done = _done(overview)
    if bar.disable and pace.is_due():
        print(f"sweep      {pace.share(done)}  {pace.left(done)}  {text}", file=sys.stderr)
    bar.set_postfix_str(text, refresh=False)
    bar.update(done - bar.n)


def _done(overview: Overview) -> float:
    """Number of jobs that have ended, and the completed parts of others."""
    return sum(1.0 if state.ended else state.done for state in overview.states)


def ending(overview: Overview, state: State) -> str:
    """One line on how a job ended."""
    outcome = (state.reason or "").partition("\n")[0]
    if state.status == "finished":
        value = overview.value(state)
        outcome = "" if value is None else f"{overview.metric} {value:.5g}"
    parts = (f"job {state.number:<4}", f"{state.status:<8}", outcome)
    return printable("  ".join(part for part in parts if part) + state.title)
