"""`genlab traverse`: one latent moved at a time, the others held; and a plane of two."""

from genlab.commands.results import results
from genlab.commands.use import COMMON_KEYS, command_line, compose_use, load_run

HELP = f"""usage: genlab traverse [run=DIR] [input=PICTURE] [key=value ...]

Move one latent at a time while the others stay, into RUN/traversals/NAME/: grid.png (a latent each row, those
that move the picture most first), animation.gif (all rows side by side, there and back), plane.png (two latents:
one down, one across), changes.csv (how much each latent moves the picture) and traversals.npz (images: uint8
N,H,W,C of grid.png, row by row; latents: N,L; plane_images, plane_latents; order and changes of all latents).

  genlab traverse run=latest
  genlab traverse run=latest input=anna.png extent=3 steps=11
  genlab traverse run=latest latents=[0,3,7] plane=[0,3]

A latent's change is the mean over pixels, from 0 to 1, of how far each goes on the way from end to end.

keys
  input     picture to start from, for models that encode (null: the middle of the latent space)
  latents   which to show, as in latents=[0,3] (those that move the picture most)
  plane     the two of the plane, as in plane=[0,3] (the two that move the picture most)
  extent    how far to go to both sides of the middle, in standard deviations of the prior (2.5);
            for models without one, of the codes of validation data
  steps     pictures from end to end (9)
  rows      how many latents at most, where latents does not name them (10)
  label     class of the pictures, for models that take labels (0)
  dataset   validation data of another dataset than the run's own, where the codes of data are asked
  data_dir  where datasets lie ($GENLAB_DATA, else data)
{COMMON_KEYS}"""

_FRAMES = 24  # of the animation, each way
_NAMED = 8  # latents that the terminal shows


def main(arguments: list[str]) -> int:
    config = compose_use("traverse", arguments)

    import torch

    from genlab.sampling.grids import frames, save_png
    from genlab.sampling.interpolation import decode_rows, even, smooth
    from genlab.sampling.origin import result_origin
    from genlab.sampling.traversal import check_latents, check_plane, num_latents
    from genlab.sampling.write import save_gif, save_npz, to_uint8

    run = load_run(config)
    run.capability("decode")
    run.check_label(config.label)
    size = num_latents(run)
    if config.latents is not None:
        check_latents(config.latents, size)
    if config.plane is not None:
        check_plane(config.plane, size)
    span, title = _span(run, config)
    changes = _changes(run, span, config)
    order = changes.argsort(descending=True, stable=True)
    shown = (
        order.tolist()[: config.rows] if config.latents is None else sorted(config.latents, key=order.tolist().index)
    )

    times = even(config.steps)
    latents = span.rows(shown, times)
    pictures = decode_rows(run, latents, config.label)
    animation = decode_rows(run, span.rows(shown, smooth(_FRAMES)), config.label)
    arrays = {"latents": latents.flatten(0, 1), "order": order, "changes": changes}
    plane = config.plane or order.tolist()[:2]
    if len(plane) == 2:
        plane_latents = span.plane(*plane, times)
        plane_pictures = decode_rows(run, plane_latents, config.label)
        pixels = torch.from_numpy(to_uint8(plane_pictures.flatten(0, 1)))
        arrays |= {"plane_images": pixels, "plane_latents": plane_latents.flatten(0, 1)}

    origin = result_origin(run, config)
    with results(run, "traversals", config, title, *_asked(config)) as result:
        save_png(pictures, result.writing / "grid.png", origin)
        save_gif(frames(animation), result.writing / "animation.gif", origin)
        save_npz(result.writing / "traversals.npz", pictures.flatten(0, 1), **arrays)
        _save_changes(result.writing / "changes.csv", order, changes)
        if len(plane) == 2:
            save_png(plane_pictures, result.writing / "plane.png", origin)
    folder = result.path
    first = ", ".join(f"{latent} ({changes[latent]:.3f})" for latent in order[:_NAMED].tolist())
    print(f"start      {title}, {config.extent:g} standard deviations to both sides")
    print(f"changes    latent {first}{', ...' if size > _NAMED else ''}")
    print(f"rows       {', '.join(map(str, shown))}: latents from top to bottom")
    print(f"grid       {folder}/grid.png\nanimation  {folder}/animation.gif\narray      {folder}/traversals.npz")
    print(f"table      {folder}/changes.csv")
    if len(plane) == 2:
        print(f"plane      {folder}/plane.png (latent {plane[0]} down, {plane[1]} across)")
    print(f"next       {command_line('interpolate', run=run.folder)}")
    return 0


def _span(run, config):
    """Where the traversal begins, its middle and its scale: of the prior, else of the codes of validation data."""
    import torch

    from genlab.sampling.codes import code_of, codes_of
    from genlab.sampling.inputs import held
    from genlab.sampling.traversal import Span, num_latents

    if config.dataset is not None and run.can("prior"):
        raise ValueError(f"dataset={config.choices.dataset}: not looked at, since the model's prior says how far to go")
    picture = None if config.input is None else code_of(run, config.input, "input")
    if run.can("prior"):
        centre, title = torch.zeros(num_latents(run)), "prior"
        scale = torch.ones_like(centre)
    else:
        data = held(run, config)
        codes, *_ = codes_of(run, data)
        centre, title = codes.mean(0), data.title
        scale = codes.std(0, correction=0)
    start, title = (centre, title) if picture is None else (picture[0][0], picture[1])
    return Span(start, centre, scale, config.extent), title


def _changes(run, span, config):
    """How much each latent moves the picture, [L]; a few rows at a time, so that memory does not grow with L."""
    import torch
    from tqdm import tqdm

    from genlab.sampling.interpolation import decode_rows, even
    from genlab.sampling.load import PORTION
    from genlab.sampling.traversal import changes

    parts = torch.arange(len(span.start)).split(max(1, PORTION // config.steps))
    rows = (
        span.rows(part.tolist(), even(config.steps)) for part in tqdm(parts, "measuring", disable=None, leave=False)
    )
    return torch.cat([changes(decode_rows(run, z, config.label)) for z in rows])


def _asked(config) -> list[str]:
    """What of the request names the folder."""
    label = None if config.label is None else [config.label]
    named = {"label": label, "latents": config.latents, "plane": config.plane}
    return ["_".join(map(str, [key, *values])) for key, values in named.items() if values is not None]


def _save_changes(path, order, changes) -> None:
    import csv

    with path.open("w", newline="") as file:
        rows = [(latent, f"{changes[latent]:.6f}") for latent in order.tolist()]
        csv.writer(file).writerows([("latent", "change"), *rows])
