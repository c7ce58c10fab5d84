"""`genlab reconstruct`: images beside their reconstructions by a trained run, and the errors between them."""

import csv

import torch

from genlab.commands.lines import command_line
from genlab.commands.results import image_origin, load_run, results
from genlab.config.commands import ImagesConfig
from genlab.inspection.inputs import find_images
from genlab.media.grids import in_blocks, save_png
from genlab.media.images import to_uint8
from genlab.media.metadata import COMPARED
from genlab.media.npz import NpzWriter
from genlab.metrics.reconstruction import mean_squared_error

_COLUMNS, _BLOCKS = 8, 4


def main(config: ImagesConfig) -> None:
    run = load_run(config)
    run.capability("reconstruct")
    images = find_images(run, config)
    errors: list[float] = []
    shown = []
    with results(run, "reconstructions", config, images.title) as (new, path), NpzWriter(new) as writer:
        for x in images.batches("reconstructing"):
            y = run.reconstruct(x)
            error = mean_squared_error(x, y).float()
            writer.add(images=to_uint8(x), reconstructions=to_uint8(y), errors=error)
            if len(errors) < _COLUMNS * _BLOCKS:
                shown.append((x, y))
            errors += error.tolist()
        writer.save(new / "reconstructions.npz")
        grid = in_blocks(*map(torch.cat, zip(*shown, strict=True)), columns=_COLUMNS, blocks=_BLOCKS)
        save_png(grid, new / "grid.png", image_origin(run, config, COMPARED))
        with (new / "errors.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("name", "mse"), *zip(images.names, errors, strict=True)])
    (least, best), (most, worst) = (choose(zip(errors, images.names, strict=True)) for choose in (min, max))
    print(f"error      mean {sum(errors) / len(errors):.5f}, least {least:.5f} ({best}), most {most:.5f} ({worst})")
    print(f"images     {len(errors)} of {images.title}{images.left_out}")
    print(f"grid       {path}/grid.png\narray      {path}/reconstructions.npz\ntable      {path}/errors.csv")
    print(f"next       {command_line('encode', run=run.folder)}")
