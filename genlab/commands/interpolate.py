"""`genlab interpolate`: paths from one image to another through the latent space."""

import torch
from torch import Tensor

from genlab.commands.lines import command_line
from genlab.commands.results import image_origin, load_run, results
from genlab.config.commands import InterpolateConfig
from genlab.inference.interpolation import even, smooth, walk
from genlab.inference.run import Run
from genlab.inspection.dataset import drawn_pairs
from genlab.inspection.inputs import latent_of
from genlab.media.grids import frames, save_png
from genlab.media.images import save_gif, to_uint8
from genlab.media.npz import save_npz

_FRAMES = 24
"""Frames of the animation, in each direction."""


def main(config: InterpolateConfig) -> None:
    run = load_run(config)
    run.capability("decode")
    run.check_label(config.label)
    start, end, title = _ends(run, config)
    path = config.path or ("spherical" if run.can("prior") else "linear")
    labels = None
    if run.takes_labels:
        cycle = torch.arange(len(start)) % run.data.num_classes
        labels = cycle if config.label is None else torch.full_like(cycle, config.label)
    latents = walk(start, end, even(config.steps), path)
    images = run.decode(latents, labels)
    animation = run.decode(walk(start, end, smooth(_FRAMES), path), labels)
    of_rows = None if labels is None else labels.repeat_interleave(config.steps)
    origin = image_origin(run, config)
    with results(run, "interpolations", config, title, path, label=config.label) as (new, folder):
        save_png(images, new / "grid.png", origin)
        save_gif(frames(animation), new / "animation.gif", origin)
        pixels = to_uint8(images.flatten(0, 1))
        save_npz(new / "interpolations.npz", images=pixels, latents=latents.flatten(0, 1), labels=of_rows)
    print(f"between    {title}, {path}: {len(start)} rows of {config.steps} images")
    print(f"grid       {folder}/grid.png\nanimation  {folder}/animation.gif\narray      {folder}/interpolations.npz")
    print(f"next       {command_line('traverse', run=run.folder)}")


def _ends(run: Run, config: InterpolateConfig) -> tuple[Tensor, Tensor, str]:
    """Start latents [rows, L], end latents [rows, L], and a title for the pairs."""
    given = [key for key in ("seeds", "images") if getattr(config, key) is not None]
    if len(given) > 1:
        raise ValueError("seeds and images: give one of the two")
    ends = given[0] if given else "the model's prior" if run.can("prior") else None
    if config.dataset is not None and ends:
        raise ValueError(f"dataset={config.dataset.name}: not used, since the ends come from {ends}")
    if config.seeds is not None:
        first, second = _two("seeds", config.seeds, "seeds=[3,8]")
        return run.prior(1, first), run.prior(1, second), f"seeds_{first}_{second}"
    if config.images is not None:
        pair = _two("images", config.images, "images=[a.png,b.png]")
        (start, first), (end, second) = (latent_of(run, place, "images") for place in pair)
        return start, end, f"{first}_{second}"
    if run.can("prior"):
        z = run.prior(2 * config.rows, config.seed)
        return z[0::2], z[1::2], f"seed_{config.seed}"
    run.capability("encode")
    images, source = drawn_pairs(run, config, config.rows)
    z = run.encode(images)
    return z[0::2], z[1::2], f"{source}-seed_{config.seed}"


def _two(key: str, values: list, example: str) -> tuple:
    if len(values) != 2:
        raise ValueError(f"{key}=[{','.join(map(str, values))}]: give two, as in {example}")
    return tuple(values)
