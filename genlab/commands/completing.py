"""`genlab sample complete=IMAGES`: the upper part of images is kept, and the rest drawn."""

import torch
from torch import Tensor

from genlab.commands.lines import command_line
from genlab.commands.results import drawn, image_origin, results, same
from genlab.config.commands import SampleConfig
from genlab.contract.data import Condition
from genlab.contract.model import Grid
from genlab.inference.run import Run
from genlab.inspection.inputs import open_input
from genlab.media.kinds import shown_kind
from genlab.media.metadata import COMPARED
from genlab.media.npz import NpzWriter
from genlab.system.seeding import seeded

_DRAWS = 4
"""Different completions of each image."""

_SHOWN = 16
_HIDDEN = 0.5  # grey


def complete_images(run: Run, config: SampleConfig) -> None:
    run.capability("complete")
    height = run.data.shape[1]
    rows = height // 2 if config.rows is None else config.rows
    if rows >= height:
        raise ValueError(f"rows={rows}: keeps all of images of {height} rows; give fewer, as in rows={height // 2}")
    asked = run.conditioning.checked(config.condition, config.sampling)
    kind, images = shown_kind(run.data), open_input(run, str(config.complete), "complete", limit=config.num_samples)
    shown: list[Tensor] = []
    number = 0
    with (
        results(run, "completions", config, images.title, seed=config.seed, rows=rows, **asked) as (new, path),
        NpzWriter(new) as writer,
    ):
        for batch in images.batches("completing"):
            given = run.conditioning.of_examples(len(batch), config.condition, {})
            completions = _completed(run, batch, rows, given, config, number)
            number += 1
            writer.add(**{kind.plural: kind.array(completions.flatten(0, 1))})
            if sum(map(len, shown)) < _SHOWN:
                kept = batch.clone()
                kept[:, :, rows:] = _HIDDEN
                shown.append(torch.cat([batch[:, None], kept[:, None], completions], 1))
        writer.save(new / "completions.npz")
        with drawn(new / "grid.png"):
            grid = Grid(torch.cat(shown)[:_SHOWN], columns=["image", "kept", *["drawn"] * _DRAWS])
            (new / "grid.png").write_bytes(kind.picture(grid, image_origin(run, config, COMPARED)).content)
    print(f"{kind.plural:<10} {len(images.names)} of {images.title}{images.left_out}, {_DRAWS} completions each")
    print(f"grid       {path}/grid.png\narray      {path}/completions.npz")
    print(f"next       {command_line('sample', **same(run, config, 'sample'), seed=config.seed + 1)}")


def _completed(
    run: Run, x: Tensor, rows: int, condition: Condition | None, config: SampleConfig, number: int
) -> Tensor:
    """Completions [N, draws, C, H, W] of images [N, C, H, W]. number: of the batch, which seeds its noise."""
    given = run.model.given(condition and {name: value.to(run.device) for name, value in condition.items()})
    draws = []
    for draw in range(_DRAWS):
        with run.inference(), seeded(config.seed, number, draw):
            draws.append(run.model.complete(x.to(run.device), rows, *given, **config.sampling).float().cpu())
    return torch.stack(draws, 1)
