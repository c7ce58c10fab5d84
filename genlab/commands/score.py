"""`genlab score`: how unlikely pictures are in the eyes of a trained run, and how well that finds outliers."""

from genlab.commands.results import results
from genlab.commands.use import COMMON_KEYS, command_line, compose_use, load_run

HELP = f"""usage: genlab score [run=DIR] [input=PICTURES] [against=PICTURES] [key=value ...]

Give every picture a number that says how unlikely it is (higher is less likely, always), into
RUN/scores/NAME/: scores.csv (name, label where there is one, score; in the order of the input), scores.npz
(scores, labels, and least_likely: positions of the shown ones) and least_likely.png, the most unlikely first.

against=PICTURES scores those as well and says how well the score tells them from the first ones: against.csv,
detection.json (AUROC, AUPR, false positives at 95 % found, and how they were measured) and histogram.png.

  genlab score run=outputs/vae-mnist/20261120-153012-5306
  genlab score run=latest against=fashion-mnist
  genlab score run=latest input=photographs method=elbo importance_samples=256

methods, the default being the first that the model can do
  log-prob             -log p(x) in nats, where the likelihood is exact
  reconstruction       mean squared error of the reconstruction, for pixels from 0 to 1
  importance-weighted  minus the importance-weighted bound on log p(x) in nats
  elbo                 minus the ELBO in nats
  discriminator        minus the discriminator's logit

keys
  input               a picture, a folder of pictures or an npz file; null takes validation data
  against             a folder, an npz file, or the name of a dataset, of which the validation data is taken
  method              one of the methods above
  importance_samples  draws of the latent for each picture, for elbo and importance-weighted (64)
  num_pictures        how many at most, of each side (all)
  shown               how many of the least likely are shown (64)
  dataset             validation data of another dataset than the run's own, as in dataset=mnist
  data_dir            where datasets lie ($GENLAB_DATA, else data)
  skip_damaged        true leaves out pictures that cannot be read, instead of stopping at them (false)
{COMMON_KEYS}"""


_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_COLUMNS = 8


def main(arguments: list[str]) -> int:
    config = compose_use("score", arguments)

    import json

    from genlab.evaluation.outliers import detection
    from genlab.sampling.inputs import find_pictures, open_against
    from genlab.sampling.origin import CHOSEN, result_origin
    from genlab.sampling.scoring import METHODS, choose_method, score_pictures

    run = load_run(config)
    method = choose_method(run, config.method)
    sides = [find_pictures(run, config)]
    if config.against is not None:
        sides.append(open_against(run, config))
    settings = (method, config.seed, config.importance_samples, config.shown)
    against = [f"against_{other.title}" for other in sides[1:]]
    seed = [f"seed_{config.seed}"] if METHODS[method].draws else []
    with results(run, "scores", config, sides[0].title, method, *against, *seed) as result:
        scored, *others = [score_pictures(run, side, *settings) for side in sides]
        found = [detection(scored.scores, other.scores) for other in others]
        _write(result.writing, scored, result_origin(run, config, CHOSEN))
        for other, measured in zip(others, found, strict=True):
            _write_against(result.writing, scored, other, METHODS[method].meaning, measured["auroc"])
            protocol = _protocol(run, config, method, scored, other)
            text = json.dumps({**measured, "protocol": protocol}, indent=2)
            (result.writing / "detection.json").write_text(text + "\n")

    folder = result.path
    print(f"method     {method}: {METHODS[method].meaning}; higher is less likely")
    for side in (scored, *others):
        print(f"scores     {side.title}: {_describe(side)}")
    print(f"table      {folder}/scores.csv\narray      {folder}/scores.npz")
    print(f"grid       {folder}/least_likely.png (the {len(scored.shown)} least likely)")
    for other, measured in zip(others, found, strict=True):
        chance = len(other.names) / (len(scored.names) + len(other.names))
        missed = measured["false_positive_rate_at_95_true_positives"]
        print(f"against    {folder}/against.csv, {folder}/histogram.png")
        print(f"detection  {folder}/detection.json")
        auroc, aupr = measured["auroc"], measured["aupr"]
        print(f"           AUROC {auroc:.4f} (chance 0.5), AUPR {aupr:.4f} (chance {chance:.4g}),")
        print(f"           false positives at 95 % found {missed:.2%} (chance 95 %)")
    command, keys = ("evaluate", {}) if others else ("score", {"against": "FOLDER"})
    print(f"next       {command_line(command, **keys, run=run.folder)}")
    return 0


def _describe(scored) -> str:
    import numpy as np

    low, quarter, median, three_quarters, high = np.quantile(scored.scores.numpy(), _QUANTILES)
    left_out = f", {len(scored.skipped)} damaged ones left out" if scored.skipped else ""
    return (
        f"mean {scored.scores.mean():.5g}, median {median:.5g}, half in {quarter:.5g} to {three_quarters:.5g}, "
        f"90 % in {low:.5g} to {high:.5g} ({len(scored.names)} pictures{left_out})"
    )


def _write(folder, scored, origin) -> None:
    import numpy as np

    from genlab.sampling.grids import save_png, wrap

    labels = {} if scored.labels is None else {"labels": scored.labels.numpy()}
    _write_table(folder / "scores.csv", scored)
    np.savez_compressed(
        folder / "scores.npz", scores=scored.scores.numpy(), least_likely=scored.least_likely.numpy(), **labels
    )
    save_png(wrap(scored.shown, _COLUMNS), folder / "least_likely.png", origin)


def _write_table(path, scored) -> None:
    import csv

    columns = {"name": scored.names}
    if scored.labels is not None:
        columns["label"] = scored.labels.tolist()
    columns["score"] = scored.scores.tolist()
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([tuple(columns), *zip(*columns.values(), strict=True)])


def _write_against(folder, scored, other, meaning: str, auroc: float) -> None:
    import numpy as np
    from matplotlib.figure import Figure

    _write_table(folder / "against.csv", other)
    both = [side.scores.numpy() for side in (scored, other)]
    bins = np.histogram_bin_edges(np.concatenate(both), 80)
    figure = Figure(figsize=(8, 4.5), dpi=120, layout="constrained")
    axes = figure.subplots()
    for side, values in zip((scored, other), both, strict=True):
        shares = np.full(len(values), 1 / len(values))
        axes.hist(values, bins, weights=shares, alpha=0.6, label=f"{side.title} ({len(values)})")
    axes.set(xlabel=f"{meaning}: less likely to the right", ylabel="share of the pictures", title=f"AUROC {auroc:.4f}")
    axes.legend(frameon=False)
    figure.savefig(folder / "histogram.png")


def _protocol(run, config, method: str, scored, other) -> dict:
    """How a detection was measured, as plain data."""
    import numpy as np

    from genlab.sampling.scoring import METHODS

    def side(part) -> dict:
        values = part.scores.numpy()
        return {
            "name": part.title,
            "origin": part.origin,
            "count": len(part.names),
            "damaged_left_out": len(part.skipped),
            "mean_score": values.mean().item(),
            "median_score": np.median(values).item(),
        }

    draws = {"importance_samples": config.importance_samples} if METHODS[method].draws else {}
    return {
        "method": method,
        "score": METHODS[method].meaning,
        **draws,
        "seed": config.seed,
        "run": str(run.folder),
        "model": run.config.choices.model,
        "trained_on": run.config.choices.dataset,
        "checkpoint_step": run.step,
        "weights": run.weights,
        "pictures": side(scored),
        "against": side(other),
        "positive_class": "against",
    }
