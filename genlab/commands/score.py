"""`genlab score`: how unlikely images are under a trained run, and how well the scores detect outliers."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from genlab.commands.lines import command_line
from genlab.commands.results import drawn, image_origin, load_run, results, same
from genlab.config.commands import ScoreConfig
from genlab.contract.model import Grid
from genlab.inference.run import Run
from genlab.inference.scoring import METHODS
from genlab.inspection.dataset import dataset_images
from genlab.inspection.inputs import find_images, open_against
from genlab.inspection.scene import scene_of
from genlab.inspection.scoring import Scored, detection_protocol, error_maps, save_histogram, score_images, told
from genlab.media.grids import in_blocks
from genlab.media.kinds import shown_kind
from genlab.media.metadata import CHOSEN, COMPARED
from genlab.media.npz import save_npz
from genlab.metrics.outliers import detection
from genlab.system.small_files import json_text
from genlab.system.text import printable

_COLUMNS = 8


def main(config: ScoreConfig) -> None:
    run = load_run(config)
    method = run.scorer.method(config.method)
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
        limit = None if config.threshold is None else _limit(run, config, config.threshold, scored, settings)
        for side in (scored, other):
            if side and limit is not None:
                found, count = int((side.scores > limit).sum()), len(side.scores)
                print(f"outliers   {printable(side.images.title)}: {found} of {count} ({100 * found / count:.3g} %)")
        scored.write_table(new / "scores.csv", limit)
        arrays = {"scores": scored.scores, "least_likely": scored.least_likely, "labels": scored.images.labels}
        save_npz(new / "scores.npz", **arrays)
        if other:
            other.write_table(new / "against.csv", limit)
            protocol = detection_protocol(run, *settings[:3], scored, other)
            protocol["condition"] = told(run, images, config.condition)
            if limit is not None:
                protocol["threshold"] = {"share_of_validation_data": config.threshold, "score": limit}
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
        maps = kind.levels and run.can("reconstruct") and not run.model.conditions
        if maps:
            with drawn(new / "error_maps.png"):
                _save_maps(run, config, scored.shown, new / "error_maps.png")
    print(f"table      {folder}/scores.csv\narray      {folder}/scores.npz")
    print(f"grid       {folder}/least_likely.png (the {len(scored.shown)} least likely)")
    if maps:
        print(f"maps       {folder}/error_maps.png (these, their reconstructions, and where they differ)")
    if other:
        print(f"against    {folder}/against.csv\n           {folder}/histogram.png\n           {folder}/detection.json")
        print(f"next       {command_line('evaluate', **same(run, config, 'evaluate'))}")
    else:
        print(f"next       {command_line('score', against='FOLDER', **same(run, config, 'score'))}")


def _limit(run: Run, config: ScoreConfig, share: float, scored: Scored, settings: tuple[str, int, int, int]) -> float:
    """The score that a `share` of the run's own validation data exceed."""
    usual = scored
    if config.input is not None or not config.own:
        own = dataset_images(run, replace(config, input=None, dataset=None), config.num_images)
        usual = score_images(run, own, *settings, config.condition)
    limit = usual.scores.quantile(1 - share, interpolation="higher").item()
    print(f"threshold  {limit:.5g}: at most {100 * share:g} % of the run's validation data score above it")
    return limit


def _save_maps(run: Run, config: ScoreConfig, shown: Tensor, path: Path) -> None:
    """Draw the least likely images above their reconstructions and the errors of these."""
    kind = shown_kind(run.data)
    rows = in_blocks(shown, *error_maps(run, shown), columns=_COLUMNS)
    names = ["image", "reconstruction", "error"] * (len(rows) // 3)
    path.write_bytes(kind.picture(Grid(rows, rows=names), image_origin(run, config, COMPARED), None).content)
