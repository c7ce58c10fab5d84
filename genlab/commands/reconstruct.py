"""`genlab reconstruct`: pictures beside what a trained run makes of them, and how far the two lie apart."""

from genlab.commands.results import results
from genlab.commands.use import COMMON_KEYS, command_line, compose_use, load_run

HELP = f"""usage: genlab reconstruct [run=DIR] [input=PICTURES] [key=value ...]

Encode pictures and decode them again, into RUN/reconstructions/NAME/: grid.png (rows of pictures, each above
the row of what came back), reconstructions.npz (images: the pictures, reconstructions: what came back, both
uint8 N,H,W,C; errors), errors.csv (mean squared error of each picture, for pixels from 0 to 1).

  genlab reconstruct run=latest
  genlab reconstruct run=outputs/vae-mnist/20261120-153012-5306 input=photographs skip_damaged=true

keys
  input         a picture, a folder of pictures or an npz file (its array images); null takes validation data
  num_pictures  how many at most (all); memory does not grow with it
  dataset       validation data of another dataset than the run's own, as in dataset=mnist
  data_dir      where datasets lie ($GENLAB_DATA, else data)
  skip_damaged  true leaves out pictures that cannot be read, instead of stopping at them (false)
{COMMON_KEYS}"""

_COLUMNS, _BLOCKS = 8, 4


def main(arguments: list[str]) -> int:
    config = compose_use("reconstruct", arguments)

    import csv

    import torch
    from tqdm import tqdm

    from genlab.evaluation.reconstruction import mean_squared_error
    from genlab.sampling.grids import in_blocks, save_png
    from genlab.sampling.inputs import find_pictures
    from genlab.sampling.origin import COMPARED, result_origin
    from genlab.sampling.spool import Spool
    from genlab.sampling.write import to_uint8

    run = load_run(config)
    run.capability("reconstruct")
    pictures = find_pictures(run, config)
    names, errors, shown = [], [], []
    with results(run, "reconstructions", config, pictures.title) as result, Spool(result.writing) as spool:
        with tqdm(total=pictures.size, desc="reconstructing", disable=None, leave=False) as bar:
            for portion in pictures.portions():
                x, y = portion.image, run.reconstruct(portion.image)
                error = mean_squared_error(x, y).float()
                spool.add(images=to_uint8(x), reconstructions=to_uint8(y), errors=error.numpy())
                if len(names) < _COLUMNS * _BLOCKS:
                    shown.append((x, y))
                names += portion.names
                errors += error.tolist()
                bar.update(len(x))
        spool.save(result.writing / "reconstructions.npz")
        grid = in_blocks(*map(torch.cat, zip(*shown, strict=True)), columns=_COLUMNS, blocks=_BLOCKS)
        save_png(grid, result.writing / "grid.png", result_origin(run, config, COMPARED))
        with (result.writing / "errors.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("name", "mse"), *zip(names, errors, strict=True)])
    (least, best), (most, worst) = (choose(zip(errors, names, strict=True)) for choose in (min, max))
    print(f"error      mean {sum(errors) / len(errors):.5f}, least {least:.5f} ({best}), most {most:.5f} ({worst})")
    print(f"pictures   {len(names)} of {pictures.title}{_left_out(pictures.skipped)}")
    path = result.path
    print(f"grid       {path}/grid.png\narray      {path}/reconstructions.npz\ntable      {path}/errors.csv")
    print(f"next       {command_line('encode', run=run.folder)}")
    return 0


def _left_out(skipped: list[str]) -> str:
    return f", {len(skipped)} damaged ones left out" if skipped else ""
