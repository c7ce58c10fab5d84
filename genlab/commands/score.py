"""`genlab score`: how unlikely images are under a trained run, and how well the scores detect outliers."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genlab.commands.lines import command_line
from genlab.commands.results import drawn, image_origin, load_run, results, same
from genlab.config.commands import ScoreConfig
from genlab.contract.model import Grid
from genlab.inference.run import Run
from genlab.inference.scoring import METHODS
from genlab.inspection.dataset import dataset_images, own_source
from genlab.inspection.images import Images
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

_MAPS = 32
"""Images whose error maps are drawn."""


def main(config: ScoreConfig) -> None:
    run = load_run(config)
    run.scorer.find_training = lambda: own_source(run, config, opened=config.own and config.input is None)
    method = run.scorer.method(config.method)
    run.conditioning.checked(config.condition)
    images = find_images(run, config)
    against = None if config.against is None else open_against(run, config)
    if against and not against.conditions:
        images.conditions = False  # both sides are scored alike
    usual = None if config.threshold is None else _usual(run, config, images)
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
        limit = None
        if usual:
            known = scored if usual is images else score_images(run, usual, *settings)
            limit = _limit(known, config.threshold or 0.0)
            for side in (scored, other):
                if side and limit is not None:
                    found, count = int(side.above(limit).sum()), len(side.scores)
                    print(
                        f"outliers   {printable(side.images.title)}: {found} of {count} ({100 * found / count:.3g} %)"
                    )
        scored.write_table(new / "scores.csv", limit)
        arrays = {"scores": scored.scores, "least_likely": scored.least_likely, "labels": scored.images.labels}
        arrays |= {} if limit is None else {"threshold": torch.tensor(limit)}
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
        exact = run.can("log_prob")  # such models reconstruct without error
        maps = bool(kind.levels and run.can("reconstruct") and not exact and not run.model.conditions)
        if maps:
            with drawn(new / "error_maps.png"):
                _save_maps(run, config, scored.shown[:_MAPS], new / "error_maps.png")
    print(f"table      {folder}/scores.csv\narray      {folder}/scores.npz")
    print(f"grid       {folder}/least_likely.png (the {len(scored.shown)} least likely)")
    if maps:
        print(f"maps       {folder}/error_maps.png (the first {_MAPS}, reconstructed, and the errors)")
    if other:
        print(f"against    {folder}/against.csv\n           {folder}/histogram.png\n           {folder}/detection.json")
        print(f"next       {command_line('evaluate', **same(run, config, 'evaluate'))}")
    else:
        print(f"next       {command_line('score', against='FOLDER', **same(run, config, 'score'))}")


def _usual(run: Run, config: ScoreConfig, images: Images) -> Images:
    """The run's own validation data, told as much of their conditions as the images that are scored."""
    if config.own and config.input is None and config.num_images is None:
        return images
    found = dataset_images(run, config if config.own else replace(config, dataset=None))
    found.conditions = images.conditions or any(value is not None for value in config.condition.values())
    return found


def _limit(usual: Scored, share: float) -> float | None:
    """The score that at most a `share` of usual images exceed; None if their scores are not finite."""
    if not usual.scores.isfinite().all():
        print("threshold  left out: validation data have scores that are not finite; choose another method")
        return None
    limit = usual.scores.quantile(1 - share, interpolation="higher").item()
    count = len(usual.scores)
    print(f"threshold  {limit:.5g}: at most {100 * share:g} % of {count} validation examples score above it")
    return limit


def _save_maps(run: Run, config: ScoreConfig, shown: Tensor, path: Path) -> None:
    """Draw images above their reconstructions and the errors of these."""
    rows = in_blocks(shown, *error_maps(run, shown), columns=_COLUMNS, blocks=_MAPS // _COLUMNS)
    names = ["image", "reconstruction", "error"] * (len(rows) // 3)
    picture = shown_kind(run.data).picture(Grid(rows, rows=names), image_origin(run, config, COMPARED), None)
    path.write_bytes(picture.content)
