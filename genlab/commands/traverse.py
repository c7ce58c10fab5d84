"""`genlab traverse`: vary one latent dimension at a time, with the others fixed; and a plane of two."""

from functools import partial
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from genlab.commands.lines import command_line
from genlab.commands.results import drawn, image_origin, load_run, results, same
from genlab.config.commands import TraverseConfig
from genlab.contract.model import Grid
from genlab.inference.interpolation import even, smooth
from genlab.inference.run import Run
from genlab.inference.traversal import Span, changes, check_latents, check_plane
from genlab.inspection.dataset import dataset_images
from genlab.inspection.inputs import latent_of
from genlab.inspection.scene import scene_of
from genlab.media.kinds import shown_kind
from genlab.media.npz import save_npz
from genlab.system.files import write_csv

_FRAMES = 24
"""Frames of the animation, in each direction."""

_USED = 0.01
"""Fraction of the largest change above which a latent dimension is shown; others do nothing."""

_NAMED = 8
"""Latent dimensions listed in the terminal."""


def main(config: TraverseConfig) -> None:
    run = load_run(config)
    run.capability("decode")
    kind, asked = shown_kind(run.data), run.conditioning.checked(config.condition)
    size = run.num_latents
    if config.latents is not None:
        check_latents(config.latents, size)
    if config.plane is not None:
        check_plane(config.plane, size)
    span, title = _span(run, config)
    moved = _changes(run, span, config)
    order = moved.argsort(descending=True, stable=True)
    ranked = order.tolist()
    used = max(1, int((moved > _USED * moved.max()).sum()))
    shown = ranked[: min(config.rows, used)] if config.latents is None else sorted(config.latents, key=ranked.index)

    times = even(config.steps)
    latents = span.rows(shown, times)
    images = run.decode(latents, run.conditioning.constant(len(latents), asked))
    animation = run.decode(span.rows(shown, smooth(_FRAMES)), run.conditioning.constant(len(shown), asked))
    arrays: dict[str, Any] = {kind.plural: kind.array(images.flatten(0, 1)), "latents": latents.flatten(0, 1)}
    arrays |= {"order": order, "changes": moved}
    plane = config.plane or ranked[:2]
    origin, scene = image_origin(run, config), scene_of(run)
    name = partial(_name, run)
    names = [f"{name(latent)}\nchange {moved[latent]:.3f}" for latent in shown]
    stops = [f"{round(stop, 2):g} sd" for stop in (config.extent * (2 * times - 1)).tolist()]
    grid = Grid(images, rows=names, columns=stops)
    named = {**asked, "latents": config.latents, "plane": config.plane}
    with results(run, "traversals", config, title, **named) as (new, folder):
        with drawn(new / "grid.png"):
            (new / "grid.png").write_bytes(kind.picture(grid, origin, scene, connected=True).content)
        with drawn(new / "animation.gif"):
            kind.save_animation(animation, new / "animation.gif", origin)
        if len(plane) == 2:
            latents = span.plane(plane[0], plane[1], times)
            images = run.decode(latents, run.conditioning.constant(len(latents), asked))
            down, across = ([f"{name(latent)}\n{stop}" for stop in stops] for latent in plane)
            grid = Grid(images, rows=down, columns=across)
            with drawn(new / "plane.png"):
                (new / "plane.png").write_bytes(kind.picture(grid, origin, scene, connected=True).content)
            arrays |= {f"plane_{kind.plural}": kind.array(images.flatten(0, 1)), "plane_latents": latents.flatten(0, 1)}
        save_npz(new / "traversals.npz", **arrays)
        write_csv(new / "changes.csv", [("latent", "change"), *((n, f"{moved[n]:.6f}") for n in ranked)])
    first = ", ".join(f"{name(latent)} ({moved[latent]:.3f})" for latent in ranked[:_NAMED])
    print(f"start      {title}, {config.extent:g} standard deviations to both sides")
    print(f"changes    {first}{', ...' if size > _NAMED else ''}")
    print(f"rows       {', '.join(map(str, shown))}: latents from top to bottom")
    print(f"grid       {folder}/grid.png\nanimation  {folder}/animation.gif\narray      {folder}/traversals.npz")
    print(f"table      {folder}/changes.csv")
    if len(plane) == 2:
        print(f"plane      {folder}/plane.png ({name(plane[0])} down, {name(plane[1])} across)")
    print(f"next       {command_line('interpolate', **same(run, config, 'interpolate'))}")


def _span(run: Run, config: TraverseConfig) -> tuple[Span, str]:
    """Start, centre and scale of the traversal: from the prior, or else from the latents of validation data."""
    if config.dataset is not None and run.can("prior"):
        raise ValueError(f"{config.dataset}: not used, since the model's prior says how far to go")
    image = None if config.input is None else latent_of(run, config.input, "input", config.condition)
    if run.can("prior"):
        centre, title = torch.zeros(run.num_latents), "prior"
        scale = torch.ones_like(centre)
    else:
        data = dataset_images(run, config)
        parts = data.with_conditions("encoding")
        given = run.conditioning.of_examples
        latents = torch.cat([run.encode(x, given(len(x), config.condition, own)) for x, own in parts])
        centre, title = latents.mean(0), data.title
        scale = latents.std(0, correction=0)
    start, title = (centre, title) if image is None else (image[0][0], image[1])
    return Span(start, centre, scale, config.extent), title


def _changes(run: Run, span: Span, config: TraverseConfig) -> Tensor:
    """How much each latent dimension changes the example, [L]; in chunks, so that memory does not grow with L."""
    parts = torch.arange(len(span.start)).split(max(1, run.rows // config.steps))
    rows = (span.rows(part.tolist(), even(config.steps)) for part in parts)
    shown = tqdm(rows, "measuring", len(parts), disable=None, leave=False)
    return torch.cat([changes(run.decode(z, run.conditioning.constant(len(z), config.condition))) for z in shown])


def _name(run: Run, latent: int) -> str:
    """What to call a latent dimension: its number, and what it means if that is known."""
    meaning = run.model.latent_name(latent)
    return f"latent {latent} ({meaning})" if meaning else f"latent {latent}"
