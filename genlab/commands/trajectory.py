"""`genlab sample format=gif`: how noise turns into samples, as an animation and as a strip."""

import torch

from genlab.commands.lines import command_line
from genlab.commands.results import drawn, image_origin, results, same
from genlab.config.commands import SampleConfig
from genlab.contract.model import Grid
from genlab.inference.run import Run
from genlab.media.grids import frames
from genlab.media.images import save_gif
from genlab.media.kinds import captions_of, shown_kind
from genlab.media.npz import NpzWriter
from genlab.system.seeding import seeded

_ROWS, _COLUMNS = 10, 9
"""Of the strip: samples, and times from noise on."""

_MILLISECONDS = 120


def show_trajectory(run: Run, config: SampleConfig) -> None:
    trajectory = run.capability("trajectory")
    kind, count = shown_kind(run.data), config.num_samples
    if run.data["x"].kind != "image":
        raise ValueError(f"format=gif: is of images, and this run models {kind.plural}; leave it out")
    if count > run.rows:
        raise ValueError(f"num_samples={count}: format=gif shows at most {run.rows}")
    asked = run.conditioning.checked(config.condition, config.sampling, several=True)
    given = run.conditioning.varied(count, values=run.conditioning.in_turn(count, asked))
    with run.inference(), seeded(config.seed, 0):
        on_device = {name: value.to(run.device) for name, value in given.items()}
        way = trajectory(count, *run.model.given(on_device), **config.sampling).float().cpu()
    shown = torch.linspace(0, way.shape[1] - 1, min(_COLUMNS, way.shape[1])).round().long()
    with (
        results(run, "trajectories", config, seed=config.seed, **asked, **config.sampling) as (new, path),
        NpzWriter(new) as writer,
    ):
        writer.add(images=kind.array(way[:, -1]))
        writer.save(new / "samples.npz")
        save_gif(frames(kind.upright(way)), new / "animation.gif", image_origin(run, config), _MILLISECONDS)
        with drawn(new / "strip.png"):
            columns = [f"step {number}" for number in shown.tolist()]
            grid = Grid(way[:_ROWS, shown], rows=captions_of(run.data, given)[:_ROWS], columns=columns)
            (new / "strip.png").write_bytes(kind.picture(grid, image_origin(run, config)).content)
    print(f"animation  {path}/animation.gif ({way.shape[1]} frames)\ngrid       {path}/strip.png")
    print(f"array      {path}/samples.npz")
    print(f"next       {command_line('sample', **same(run, config, 'sample'), seed=config.seed + 1)}")
