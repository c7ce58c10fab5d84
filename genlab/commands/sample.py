"""`genlab sample`: new images from a trained run. Needs only the checkpoint."""

import torch

from genlab.commands.lines import command_line
from genlab.commands.results import image_origin, load_run, results
from genlab.config.commands import SampleConfig
from genlab.inspection.images import progress
from genlab.media.grids import save_png, wrap
from genlab.media.images import save_image, to_uint8
from genlab.media.npz import NpzWriter

_SHOWN = 256


def main(config: SampleConfig) -> None:
    run = load_run(config)
    run.check_label(config.label)
    batches = run.draw(config.num_samples, config.seed, config.label, config.truncation)
    origin = image_origin(run, config)
    arrays, grid = config.format != "png", config.format != "npz"
    shown, done = [], 0
    asked = {"seed": config.seed, "label": config.label, "truncation": config.truncation}
    with results(run, "samples", config, **asked) as (new, path), NpzWriter(new) as writer:
        single = new / "images"
        if not arrays:
            single.mkdir()
        for images, labels in progress(batches, "sampling", config.num_samples):
            pixels = to_uint8(images)
            if arrays:
                writer.add(images=pixels, labels=labels)
            else:
                for number, image in enumerate(pixels):
                    label = "" if labels is None else f"-label_{labels[number]}"
                    save_image(image, single / f"{done + number:07d}{label}.png", origin)
            if done < _SHOWN:
                shown.append(images[: _SHOWN - done])
            done += len(images)
        if arrays:
            writer.save(new / "samples.npz")
        if grid:
            save_png(wrap(torch.cat(shown), columns=None), new / "grid.png", origin)
    if grid:
        print(f"grid       {path}/grid.png{f' (the first {_SHOWN} of {done})' if done > _SHOWN else ''}")
    print(f"array      {path}/samples.npz" if arrays else f"images     {path}/images ({done})")
    print(f"next       {command_line('sample', run=run.folder, seed=config.seed + 1)}")
