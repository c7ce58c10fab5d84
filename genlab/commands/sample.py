"""`genlab sample`: new samples from a trained run. Needs only the checkpoint."""

import torch

from genlab.commands.lines import command_line
from genlab.commands.results import arrays_of, drawn, image_origin, load_run, results
from genlab.config.commands import SampleConfig
from genlab.inspection.images import progress
from genlab.inspection.scene import scene_of
from genlab.media.kinds import shown_kind
from genlab.media.npz import NpzWriter
from genlab.system.files import check_room

_SHOWN = 256


def main(config: SampleConfig) -> None:
    run = load_run(config)
    kind = shown_kind(run.data)
    run.capability("sample")
    asked = run.conditioning.checked(config.condition, config.sampling)
    batches = run.draw(config.num_samples, config.seed, asked, **config.sampling)
    origin, most = image_origin(run, config), max(_SHOWN, kind.previewed)
    arrays, grid = config.format != "png", config.format != "npz"
    if arrays:
        row = kind.array(torch.zeros(1, *run.data.shape)).nbytes
        check_room(run.folder, f"num_samples={config.num_samples}", config.num_samples * row)
    shown, done = [], 0
    with (
        results(run, "samples", config, seed=config.seed, **asked, **config.sampling) as (new, path),
        NpzWriter(new) as writer,
    ):
        single = new / "images"
        if not arrays:
            single.mkdir()
        for samples, given in progress(batches, "sampling", config.num_samples):
            if arrays:
                writer.add(**{kind.plural: kind.array(samples)}, **arrays_of(run, given))
            else:
                names = [_file_name(done + row, given, row) for row in range(len(samples))]
                kind.save_each(samples, [single / name for name in names], origin)
            if done < most:
                shown.append(samples[: most - done])
            done += len(samples)
        if arrays:
            writer.save(new / "samples.npz")
        if grid:
            with drawn(new / "grid.png"):
                picture = kind.picture(kind.arranged(torch.cat(shown)), origin, scene_of(run))
                (new / "grid.png").write_bytes(picture.content)
    if grid:
        print(f"grid       {path}/grid.png{f' (the first {most} of {done})' if done > most else ''}")
    print(f"array      {path}/samples.npz" if arrays else f"images     {path}/images ({done})")
    print(f"next       {command_line('sample', run=run.folder, seed=config.seed + 1)}")


def _file_name(number: int, given: dict[str, torch.Tensor], row: int) -> str:
    """For example 0000012-label_7.png."""
    return "-".join([f"{number:07d}", *(f"{name}_{value[row]}" for name, value in given.items())]) + ".png"
