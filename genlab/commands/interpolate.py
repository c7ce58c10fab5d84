"""`genlab interpolate`: paths from one example to another through the latent space."""

from torch import Tensor

from genlab.commands.lines import command_line
from genlab.commands.results import arrays_of, drawn, image_origin, load_run, results, same
from genlab.config.commands import InterpolateConfig
from genlab.contract.model import Grid
from genlab.inference.interpolation import even, smooth, walk
from genlab.inference.run import Run
from genlab.inspection.dataset import drawn_pairs
from genlab.inspection.inputs import latent_of
from genlab.inspection.scene import scene_of
from genlab.media.kinds import captions_of, shown_kind
from genlab.media.npz import Array, save_npz
from genlab.system.text import printable

_FRAMES = 24
"""Frames of the animation, in each direction."""


def main(config: InterpolateConfig) -> None:
    run = load_run(config)
    run.capability("decode")
    kind, asked = shown_kind(run.data), run.conditioning.checked(config.condition)
    start, end, title, ends = _ends(run, config)
    path = config.path or ("spherical" if run.can("prior") else "linear")
    given = run.conditioning.varied(len(start), values=asked)
    latents = walk(start, end, even(config.steps), path)
    images = run.decode(latents, given)
    times = [f"{time:.2g}" for time in even(config.steps).tolist()]
    grid = Grid(images, rows=captions_of(run.data, given), columns=times)
    animation = run.decode(walk(start, end, smooth(_FRAMES), path), given)
    of_rows = arrays_of(run, {name: value.repeat_interleave(config.steps, 0) for name, value in given.items()})
    origin = image_origin(run, config)
    with results(run, "interpolations", config, title, path, **asked) as (new, folder):
        with drawn(new / "grid.png"):
            (new / "grid.png").write_bytes(kind.picture(grid, origin, scene_of(run), connected=True).content)
        with drawn(new / "animation.gif"):
            kind.save_animation(animation, new / "animation.gif", origin)
        arrays: dict[str, Array] = {
            kind.plural: kind.array(images.flatten(0, 1)),
            "latents": latents.flatten(0, 1),
            **of_rows,
        }
        save_npz(new / "interpolations.npz", **arrays)
    rows = f"{len(start)} row{'s' * (len(start) > 1)} of {config.steps} {kind.plural}"
    print(f"between    {printable(ends)}: {rows}, on a {path} path")
    print(f"grid       {folder}/grid.png\nanimation  {folder}/animation.gif\narray      {folder}/interpolations.npz")
    print(f"next       {command_line('traverse', **same(run, config, 'traverse'))}")


def _ends(run: Run, config: InterpolateConfig) -> tuple[Tensor, Tensor, str, str]:
    """Start latents [rows, L], end latents [rows, L], a name of the pairs for files, and one in words."""
    given = [key for key in ("seeds", "images") if getattr(config, key) is not None]
    if len(given) > 1:
        raise ValueError("seeds and images: give one of the two")
    ends = given[0] if given else "the model's prior" if run.can("prior") else None
    if config.dataset is not None and ends:
        raise ValueError(f"{config.dataset}: not used, since the ends come from {ends}")
    if config.seeds is not None:
        first, second = _two("seeds", config.seeds, "seeds=[3,8]")
        start, end = run.prior(1, first), run.prior(1, second)
        return start, end, f"seeds_{first}_{second}", f"samples of seeds {first} and {second}"
    if config.images is not None:
        pair = _two("images", config.images, "images=[a.png,b.png]")
        (start, first), (end, second) = (latent_of(run, place, "images", config.condition) for place in pair)
        return start, end, f"{first}_{second}", f"{first} and {second}"
    if run.can("prior"):
        z = run.prior(2 * config.rows, config.seed)
        return z[0::2], z[1::2], f"seed_{config.seed}", f"pairs of samples, seed {config.seed}"
    run.capability("encode")
    images, own, source = drawn_pairs(run, config, config.rows)
    z = run.encode(images, run.conditioning.of_examples(len(images), config.condition, own))
    plural = shown_kind(run.data).plural
    return z[0::2], z[1::2], f"{source}-seed_{config.seed}", f"pairs of {plural} of {source}, seed {config.seed}"


def _two(key: str, values: list, example: str) -> tuple:
    if len(values) != 2:
        raise ValueError(f"{key}=[{','.join(map(str, values))}]: give two, as in {example}")
    return tuple(values)
