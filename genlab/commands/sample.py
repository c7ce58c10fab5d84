"""`genlab sample`: new pictures from a trained run. Needs the checkpoint alone."""

from genlab.commands.results import results
from genlab.commands.use import COMMON_KEYS, command_line, compose_use, load_run

HELP = f"""usage: genlab sample [run=DIR] [key=value ...]

Draw new pictures from a trained run into RUN/samples/NAME/: grid.png, and samples.npz
(images: uint8 N,H,W,C; labels where the model takes them), which dataset=npz reads.

  genlab sample run=outputs/vae-mnist/20261120-153012-5306 num_samples=100
  genlab sample run=latest seed=3 label=7
  genlab sample num_samples=1000000 format=png

keys
  num_samples  how many pictures (64); any number, memory does not grow with it
  label        class of all of them, for models that take labels (all classes in turn)
  truncation   largest size of a latent number, as in 1.0: less variety, more typical pictures (no limit)
  format       grid (array, and a grid of the first 256), npz (array alone) or png (grid, and a file for each picture)
{COMMON_KEYS}"""

_SHOWN = 256


def main(arguments: list[str]) -> int:
    config = compose_use("sample", arguments)

    from itertools import chain

    import torch
    from tqdm import tqdm

    from genlab.sampling.grids import save_png, wrap
    from genlab.sampling.origin import result_origin
    from genlab.sampling.spool import Spool
    from genlab.sampling.write import save_picture, to_uint8

    run = load_run(config)
    run.check_label(config.label)
    portions = run.draw(config.num_samples, config.seed, config.label, config.truncation)
    first = next(portions)  # a request that cannot be met is refused before a folder is made
    asked = {"seed": config.seed, "label": config.label, "truncation": config.truncation}
    parts = (f"{key}_{value}" for key, value in asked.items() if value is not None)
    origin = result_origin(run, config)
    arrays, grid = config.format != "png", config.format != "npz"
    shown, done = [], 0
    with results(run, "samples", config, *parts) as result, Spool(result.writing) as spool:
        single = result.writing / "pictures"
        if not arrays:
            single.mkdir()
        with tqdm(total=config.num_samples, desc="sampling", disable=None, leave=False) as bar:
            for pictures, labels in chain([first], portions):
                if arrays:
                    spool.add(images=to_uint8(pictures), **({} if labels is None else {"labels": labels.numpy()}))
                else:
                    for number, picture in enumerate(to_uint8(pictures)):
                        suffix = "" if labels is None else f"-label_{labels[number]}"
                        save_picture(picture, single / f"{done + number:07d}{suffix}.png", origin)
                if done < _SHOWN:
                    shown.append(pictures[: _SHOWN - done])
                done += len(pictures)
                bar.update(len(pictures))
        if arrays:
            spool.save(result.writing / "samples.npz")
        if grid:
            save_png(wrap(torch.cat(shown), columns=None), result.writing / "grid.png", origin)
    if grid:
        print(f"grid       {result.path}/grid.png{f' (the first {_SHOWN} of {done})' if done > _SHOWN else ''}")
    print(f"array      {result.path}/samples.npz" if arrays else f"pictures   {result.path}/pictures ({done})")
    print(f"next       {command_line('sample', run=run.folder, seed=config.seed + 1)}")
    return 0
