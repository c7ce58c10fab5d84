"""`genlab evaluate`: how good a trained run is, with the protocol beside every number."""

from genlab.commands.results import results
from genlab.commands.use import COMMON_KEYS, command_line, compose_use, load_run

HELP = f"""usage: genlab evaluate [run=DIR] [key=value ...]

Measure a trained run against held-out data: whatever fits its family, or the metrics that are asked for.
Writes RUN/evaluation.json: value, spread and protocol of every metric. Measuring again replaces those measured.

  genlab evaluate run=outputs/vae-mnist/20261120-153012-5306
  genlab evaluate run=latest metrics=[frechet,classes] num_samples=50000
  genlab evaluate metrics=[likelihood] importance_samples=500 repeats=3

metrics
  samples      frechet kernel inception_score manifold (precision, recall, density, coverage) mmd sliced_wasserstein
               classes (covered, entropy, certainty, agreement with labels) copies (nearest training pictures)
  data         likelihood (ELBO, importance-weighted bound) exact_likelihood reconstruction (MSE, PSNR, SSIM)
               latents (active units, total correlation)
               disentanglement (MIG, SAP, DCI, FactorVAE and beta-VAE scores; where factors are known)
  translation  cycle error, error against true counterparts, distance to real pictures

keys
  metrics             which of them (all that fit)
  num_samples         pictures drawn (10000)
  extractor           what samples are compared by: auto (default: digits where the data has labels, else pixels),
                      digits (a classifier of the dataset's own labels, trained once), pixels,
                      inception (that of published figures; needs: pip install 'genlab[inception]')
  importance_samples  draws of the latent for each picture, for bounds on the likelihood (64)
  repeats             measurements with seeds of their own (1)
  nearest             samples that are shown beside their nearest training pictures (8)
  split               real pictures to compare with: validation (default) or train
  dataset, data_dir   other data than the run's own
{COMMON_KEYS}"""


def main(arguments: list[str]) -> int:
    config = compose_use("evaluate", arguments)

    from dataclasses import fields

    from genlab.config.schema import EvaluationConfig
    from genlab.evaluation.bench import Bench
    from genlab.evaluation.evaluate import choose, evaluate, write
    from genlab.evaluation.sample_metrics import nearest_pictures
    from genlab.sampling.grids import save_png
    from genlab.sampling.inputs import run_source
    from genlab.sampling.origin import COMPARED, result_origin

    run = load_run(config)
    source, title = run_source(run, config)
    settings = EvaluationConfig(**{field.name: config[field.name] for field in fields(EvaluationConfig)})
    own = config.dataset is None
    bench = Bench(source, title, settings, run.config, run.device, config.split, own)
    names = choose(run, bench, settings.metrics)
    entries = evaluate(run, bench, names, config.seed)
    write(entries, run.folder / "evaluation.json")
    for name, entry in entries.items():
        spread = "" if entry["spread"] is None else f"  +- {entry['spread']:.4g} over {entry['spread_over']}"
        value = entry["note"] if entry["value"] is None else f"{entry['value']:.6g}"
        print(f"{name:<28} {value}{spread}")
    if "copies" in names and settings.nearest:
        with results(run, "evaluations", config, f"seed_{config.seed}") as result:
            pictures = nearest_pictures(run, bench, config.seed)
            save_png(pictures, result.writing / "nearest.png", result_origin(run, config, COMPARED))
        print(f"nearest    {result.path}/nearest.png (samples in the first row, nearest training pictures below)")
    print(f"protocol   {run.folder}/evaluation.json")
    print(f"next       {command_line('compare', runs=run.folder.parent)}")
    return 0
