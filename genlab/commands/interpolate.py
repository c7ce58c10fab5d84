"""`genlab interpolate`: the way from one picture to another through the latent space."""

from genlab.commands.results import results
from genlab.commands.use import COMMON_KEYS, command_line, compose_use, load_run

HELP = f"""usage: genlab interpolate [run=DIR] [seeds=[A,B] | pictures=[A,B]] [key=value ...]

Walk between latents and decode what lies on the way, into RUN/interpolations/NAME/: grid.png (a pair each row,
end to end), interpolations.npz (images: uint8 N,H,W,C, row by row; latents: N,L; labels where the model takes
them) and animation.gif (all pairs side by side, there and back). Without seeds or pictures the pairs are drawn:
from the prior, or from validation data where the model has none.

  genlab interpolate run=latest rows=4
  genlab interpolate run=latest seeds=[3,8] path=linear
  genlab interpolate run=latest pictures=[anna.png,bert.png] steps=12

keys
  seeds     two seeds: between the latents that each of them draws from the prior
  pictures  two files: between their codes, for models that encode
  path      spherical keeps the length that normal noise has; linear is the straight line;
            null is spherical for models with a prior, linear for the others
  rows      how many pairs, where neither seeds nor pictures names one (8)
  steps     pictures from end to end (10)
  label     class of all pictures, for models that take labels (each row the next class)
  dataset   validation data of another dataset than the run's own, where pairs are drawn from data
  data_dir  where datasets lie ($GENLAB_DATA, else data)
{COMMON_KEYS}"""

_FRAMES = 24  # of the animation, each way


def main(arguments: list[str]) -> int:
    config = compose_use("interpolate", arguments)

    import torch

    from genlab.sampling.grids import frames, save_png
    from genlab.sampling.interpolation import decode_rows, even, smooth, walk
    from genlab.sampling.origin import result_origin
    from genlab.sampling.write import save_gif, save_npz

    run = load_run(config)
    run.capability("decode")
    run.check_label(config.label)
    start, end, title = _ends(run, config)
    path = config.path or ("spherical" if run.can("prior") else "linear")
    labels = None
    if run.takes_labels:
        turns = torch.arange(len(start)) % run.data.num_classes
        labels = turns if config.label is None else torch.full_like(turns, config.label)
    latents = walk(start, end, even(config.steps), path)
    pictures = decode_rows(run, latents, labels)
    animation = decode_rows(run, walk(start, end, smooth(_FRAMES), path), labels)
    asked = [title, path] + ([] if config.label is None else [f"label_{config.label}"])
    of_rows = None if labels is None else labels.repeat_interleave(config.steps)
    origin = result_origin(run, config)
    with results(run, "interpolations", config, *asked) as result:
        save_png(pictures, result.writing / "grid.png", origin)
        save_gif(frames(animation), result.writing / "animation.gif", origin)
        save_npz(result.writing / "interpolations.npz", pictures.flatten(0, 1), of_rows, latents=latents.flatten(0, 1))
    folder = result.path
    print(f"between    {title}, {path}: {len(start)} rows of {config.steps} pictures")
    print(f"grid       {folder}/grid.png\nanimation  {folder}/animation.gif\narray      {folder}/interpolations.npz")
    print(f"next       {command_line('traverse', run=run.folder)}")
    return 0


def _ends(run, config):
    """Latents [rows, L] to start at, latents to end at, and what they are called."""
    if config.seeds is not None and config.pictures is not None:
        raise ValueError("seeds and pictures: give one of the two")
    drawn_from_data = config.seeds is None and config.pictures is None and not run.can("prior")
    if config.dataset is not None and not drawn_from_data:
        ends = next((key for key in ("seeds", "pictures") if config[key] is not None), "the model's prior")
        raise ValueError(f"dataset={config.choices.dataset}: not looked at, since the ends come from {ends}")
    if config.seeds is not None:
        first, second = _two("seeds", config.seeds, "seeds=[3,8]")
        return run.prior(1, first), run.prior(1, second), f"seeds_{first}_{second}"
    if config.pictures is not None:
        from genlab.sampling.codes import code_of

        pair = _two("pictures", config.pictures, "pictures=[a.png,b.png]")
        (start, first), (end, second) = (code_of(run, place, "pictures") for place in pair)
        return start, end, f"{first}_{second}"
    if run.can("prior"):
        z = run.prior(2 * config.rows, config.seed)
        return z[0::2], z[1::2], f"seed_{config.seed}"
    from genlab.sampling.inputs import drawn_pairs

    run.capability("encode")
    pictures, source = drawn_pairs(run, config)
    z = run.encode(pictures)
    return z[0::2], z[1::2], f"{source}-seed_{config.seed}"


def _two(key: str, values: list, example: str) -> tuple:
    if len(values) != 2:
        raise ValueError(f"{key}=[{','.join(map(str, values))}]: give two, as in {example}")
    return tuple(values)
