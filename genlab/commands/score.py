"""`genlab score`: how unlikely images are under a trained run, and how well the scores detect outliers."""

from typing import Any

from genlab.commands.lines import command_line
from genlab.commands.results import drawn, image_origin, load_run, results, same
from genlab.config.commands import ScoreConfig
from genlab.contract.model import Grid
from genlab.inference.scoring import METHODS
from genlab.inspection.inputs import find_images, open_against
from genlab.inspection.scene import scene_of
from genlab.inspection.scoring import detection_protocol, save_histogram, score_images, told
from genlab.media.kinds import shown_kind
from genlab.media.metadata import CHOSEN
from genlab.media.npz import save_npz
from genlab.metrics.outliers import detection
from genlab.system.small_files import json_text
from genlab.system.text import printable

_COLUMNS = 8


def main(config: ScoreConfig) -> None:
    run = load_run(config)
    method = run.score_method(config.method)
    run.conditioning.checked(config.condition)
    images = find_images(run, config)
    against = None if config.against is None else open_against(run, config)
    if against and not against.conditions:
        images.conditions = False  # both sides are scored alike
    seed = config.seed if METHODS[method].draws or METHODS[method].needs in run.model.noisy else None
    asked = {"against": against and against.title, "seed": seed}
    with results(run, "scores", config, images.title, method, **asked) as (new, folder):
        settings = (method, config.seed, config.importance_samples, config.shown)
        scored = score_images(run, images, *settings, config.condition)
        other = score_images(run, against, *settings, config.condition) if against else None
        print(f"method     {method}: {METHODS[method].meaning}; higher is less likely")
        for side in (scored, other):
            if side:
                print(f"scores     {printable(side.images.title)}: {side.summary()}")
        measured: dict[str, Any] = {}
        if other:
            try:
                measured |= detection(scored.scores, other.scores)
            except ValueError as error:  # the scores stay
                measured |= dict.fromkeys(("auroc", "aupr", "fpr_at_95_tpr")) | {"note": str(error)}
        if "note" in measured:
            print(f"detection  left out: {measured['note']}")
        elif other:
            chance = len(other.scores) / (len(scored.scores) + len(other.scores))
            auroc, aupr, fpr = measured["auroc"], measured["aupr"], measured["fpr_at_95_tpr"]
            print(f"detection  AUROC {auroc:.4f} (chance 0.5), AUPR {aupr:.4f} (chance {chance:.4g}),")
            print(f"           false positives at 95 % found {100 * fpr:.2f} % (chance 95 %)")
        scored.write_table(new / "scores.csv")
        arrays = {"scores": scored.scores, "least_likely": scored.least_likely, "labels": scored.images.labels}
        save_npz(new / "scores.npz", **arrays)
        if other:
            other.write_table(new / "against.csv")
            protocol = detection_protocol(run, *settings[:3], scored, other)
            protocol["condition"] = told(run, images, config.condition)
            text = json_text({**measured, "protocol": protocol}, indent=2)
            (new / "detection.json").write_text(text + "\n")
            with drawn(new / "histogram.png"):  # nothing is, of scores without a figure
                save_histogram(scored, other, METHODS[method].meaning, measured["auroc"], new / "histogram.png")
        with drawn(new / "least_likely.png"):
            kind, scene = shown_kind(run.data), scene_of(run, "least likely")
            scores = [f"{score:.4g}" for score in scored.scores[scored.least_likely].tolist()]
            grid = Grid(kind.arranged(scored.shown, _COLUMNS), cells=scores)
            picture = kind.picture(grid, image_origin(run, config, CHOSEN), scene)
            (new / "least_likely.png").write_bytes(picture.content)
    print(f"table      {folder}/scores.csv\narray      {folder}/scores.npz")
    print(f"grid       {folder}/least_likely.png (the {len(scored.shown)} least likely)")
    if other:
        print(f"against    {folder}/against.csv\n           {folder}/histogram.png\n           {folder}/detection.json")
        print(f"next       {command_line('evaluate', **same(run, config, 'evaluate'))}")
    else:
        print(f"next       {command_line('score', against='FOLDER', **same(run, config, 'score'))}")
