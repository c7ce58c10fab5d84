"""`genlab evaluate`: measure the quality of a trained run, and store every value with its protocol."""

import logging
import time

from genlab.checkpoints.folder import RunFolder
from genlab.commands.figures import table
from genlab.commands.lines import command_line
from genlab.commands.results import drawn, image_origin, load_run, results, same
from genlab.commands.sampling_table import show_table, wanted
from genlab.config.commands import EvaluateConfig
from genlab.contract.model import Grid
from genlab.evaluation.choosing import choose
from genlab.evaluation.context import EvaluationContext
from genlab.evaluation.controls import Checked
from genlab.evaluation.evaluate import evaluate, measured_before, write
from genlab.evaluation.sample_metrics import nearest_images
from genlab.inspection.dataset import run_source
from genlab.media.grids import save_png
from genlab.media.kinds import shown_kind
from genlab.media.metadata import COMPARED
from genlab.system.logs import log_to_console
from genlab.system.text import printable, time_in_words

log = logging.getLogger("genlab")


def main(config: EvaluateConfig) -> None:
    log_to_console()  # says what takes long, such as training a classifier
    run = load_run(config)
    written = RunFolder(run.folder).evaluation
    measured_before(written)  # else hours could be computed for a file that cannot be written
    source, choice = run_source(run, config)
    context = EvaluationContext(
        *(source, choice.name, config, run.config, run.device, config.split, config.own),
        num_images=config.num_images,
        quick=config.quick,
    )
    log.info("run        %s, step %d", printable(str(run.folder)), run.step)
    if wanted(config):
        return show_table(run, config, context)
    begin = time.monotonic()
    names = choose(run, context, config.metrics)
    part = source.protocol.get("held_out", "validation") if config.split == "validation" else config.split
    log.info("data       %d %s examples of %s", context.source.sizes[config.split], part, choice.name)
    entries = evaluate(run, context, names, config.seed)
    log.info("measured   in %s", time_in_words(time.monotonic() - begin))
    for line in table(entries):
        print(line)
    if any("extractor" in entry["protocol"] for entry in entries.values()):
        _show(context.checked)
    try:
        write(entries, written)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise RuntimeError(f"{written}: cannot be written ({reason}); the values above are stored nowhere") from error
    if all(entry["value"] is None for entry in entries.values()):
        raise ValueError(f"metrics: none could be measured; {written} says why")
    print(f"protocol   {written}")
    if config.quick:
        print("quick      a first answer, by fewer samples and images; genlab compare keeps it apart from full ones")
    compared = entries.get("closer_than_held_out", {}).get("value") is not None
    if compared and config.nearest and "pixels" in shown_kind(run.data).extractors:
        with results(run, "evaluations", config, seed=config.seed) as (new, folder), drawn(new / "nearest.png"):
            images = nearest_images(run, context, config.seed)
            rows = ("sample", *(f"nearest {number}" for number in range(1, len(images))))
            save_png(Grid(images, rows=rows), new / "nearest.png", image_origin(run, config, COMPARED))
        print(f"nearest    {folder}/nearest.png (samples in the first row, nearest training images below)")
    if RunFolder(run.folder).holds_run:
        print(f"next       {command_line('compare', runs=run.folder.parent)}")
    else:  # a checkpoint alone
        print(f"next       {command_line('export', **same(run, config, 'export'))}")


def _show(checked: Checked) -> None:
    """What the figures were measured by, and how far it is to be trusted."""
    print(f"extractor  {checked}")
    if checked.controls:
        print(f"controls   {checked.controls}")
    if checked.objection:
        print(f"caution    do not rely on its figures: {checked.objection}")
