"""`genlab sample`: new images from a trained run. Needs only the checkpoint."""

from itertools import chain
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from genlab.commands.lines import command_line
from genlab.commands.results import results
from genlab.commands.use import image_origin, load_run
from genlab.config.commands import SampleConfig
from genlab.media.grids import save_png, wrap
from genlab.media.images import save_image, to_uint8
from genlab.media.metadata import Origin
from genlab.media.npz import NpzWriter

_SHOWN = 256


def main(config: SampleConfig) -> int:
    run = load_run(config)
    run.check_label(config.label)
    batches = run.draw(config.num_samples, config.seed, config.label, config.truncation)
    first = next(batches)  # an impossible request fails before a folder is made
    asked = {"seed": config.seed, "label": config.label, "truncation": config.truncation}
    parts = (f"{key}_{value}" for key, value in asked.items() if value is not None)
    origin = image_origin(run, config)
    arrays, grid = config.format != "png", config.format != "npz"
    shown, done = [], 0
    with results(run, "samples", config, *parts) as (new, path), NpzWriter(new) as writer:
        with tqdm(total=config.num_samples, desc="sampling", disable=None, leave=False) as bar:
            for images, labels in chain([first], batches):
                if arrays:
                    writer.add(images=to_uint8(images), **({} if labels is None else {"labels": labels.numpy()}))
                else:
                    _save_images(new / "images", done, images, labels, origin)
                if done < _SHOWN:
                    shown.append(images[: _SHOWN - done])
                done += len(images)
                bar.update(len(images))
        if arrays:
            writer.save(new / "samples.npz")
        if grid:
            save_png(wrap(torch.cat(shown), columns=None), new / "grid.png", origin)
    if grid:
        print(f"grid       {path}/grid.png{f' (the first {_SHOWN} of {done})' if done > _SHOWN else ''}")
    print(f"array      {path}/samples.npz" if arrays else f"images     {path}/images ({done})")
    print(f"next       {command_line('sample', run=run.folder, seed=config.seed + 1)}")
    return 0


def _save_images(folder: Path, start: int, images: Tensor, labels: Tensor | None, origin: Origin | None) -> None:
    """One PNG per image, named by its number and label."""
    folder.mkdir(exist_ok=True)
    for number, pixels in enumerate(to_uint8(images)):
        label = "" if labels is None else f"-label_{labels[number]}"
        save_image(pixels, folder / f"{start + number:07d}{label}.png", origin)
