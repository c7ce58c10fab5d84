"""`genlab evaluate`: measure the quality of a trained run, and store every value with its protocol."""

from genlab.checkpoints.folder import RunFolder
from genlab.commands.lines import command_line
from genlab.commands.results import drawn, image_origin, load_run, results
from genlab.config.commands import EvaluateConfig
from genlab.evaluation.context import EvaluationContext
from genlab.evaluation.evaluate import choose, evaluate, measured_before, write
from genlab.evaluation.sample_metrics import nearest_images
from genlab.inspection.dataset import run_source
from genlab.media.grids import save_png
from genlab.media.kinds import shown_kind
from genlab.media.metadata import COMPARED
from genlab.system.logs import log_to_console


def main(config: EvaluateConfig) -> None:
    log_to_console()  # says what takes long, such as training a classifier
    run = load_run(config)
    written = RunFolder(run.folder).evaluation
    measured_before(written)  # else hours could be computed for a file that cannot be written
    source, choice = run_source(run, config)
    context = EvaluationContext(source, choice.name, config, run.config, run.device, config.split, config.own)
    names = choose(run, context, config.metrics)
    entries = evaluate(run, context, names, config.seed)
    for name, entry in entries.items():
        std = "" if entry["std"] is None else f"  +- {entry['std']:.4g} over {entry['std_over']}"
        value = entry["note"] if entry["value"] is None else f"{entry['value']:.6g}"
        print(f"{name:<28} {value}{std}")
    try:
        write(entries, written)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise RuntimeError(f"{written}: cannot be written ({reason}); the values above are stored nowhere") from error
    print(f"protocol   {written}")
    if "copies" in names and config.nearest and "pixels" in shown_kind(run.data).extractors:
        with results(run, "evaluations", config, seed=config.seed) as (new, folder), drawn(new / "nearest.png"):
            images = nearest_images(run, context, config.seed)
            save_png(images, new / "nearest.png", image_origin(run, config, COMPARED))
        print(f"nearest    {folder}/nearest.png (samples in the first row, nearest training images below)")
    print(f"next       {command_line('compare', runs=run.folder.parent)}")
