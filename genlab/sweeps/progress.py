"""The progress bar of a sweep, with the best job so far, and a line for each job that ends."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

from genlab.sweeps.overview import Overview, State
from genlab.system.text import printable

_SECONDS_BETWEEN_LOOKS = 0.5


@contextmanager
def shown(overview: Overview) -> Iterator[None]:
    """While the block launches jobs, poll them periodically and keep `summary.csv` and the bar up to date."""
    interactive = sys.stderr.isatty()
    layout = "{desc} {percentage:3.0f}%|{bar:20}| {elapsed}<{remaining}{postfix}"
    mininterval = 0.2 if interactive else 10
    with tqdm(total=len(overview.states), bar_format=layout, desc="sweep", mininterval=mininterval) as bar:
        leaving = threading.Event()

        def watch() -> None:
            while not leaving.wait(_SECONDS_BETWEEN_LOOKS):
                _look(overview, bar)

        watcher = threading.Thread(target=watch, name="sweep", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            leaving.set()
            watcher.join()
            _look(overview, bar)


def _look(overview: Overview, bar: tqdm) -> None:
    ended = overview.update()
    for state in ended:
        bar.write(ending(overview, state), file=sys.stderr)
    overview.write()
    text = f"{overview.count('finished')} of {len(overview.states)} finished, {overview.count('running')} running"
    if failed := overview.count("failed"):
        text += f", {failed} failed"
    if best := overview.best:
        text += f", best {overview.metric} {overview.value(best):.4g} (job {best.number})"
    bar.set_postfix_str(text, refresh=False)
    bar.update(sum(1 if state.ended else state.done for state in overview.states) - bar.n)


def ending(overview: Overview, state: State) -> str:
    """One line on how a job ended."""
    outcome = (state.reason or "").partition("\n")[0]
    if state.status == "finished":
        value = overview.value(state)
        outcome = "" if value is None else f"{overview.metric} {value:.5g}"
    parts = (f"job {state.number:<4}", f"{state.status:<8}", outcome)
    return printable("  ".join(part for part in parts if part) + state.title)
