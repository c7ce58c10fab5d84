"""`genlab sample`: new samples from a trained run. Needs only the checkpoint."""

import re
from typing import Any

import torch

from genlab.commands.completing import complete_images
from genlab.commands.lines import command_line
from genlab.commands.results import arrays_of, drawn, image_origin, load_run, results, same
from genlab.commands.trajectory import show_trajectory
from genlab.config.commands import SampleConfig
from genlab.contract.model import Grid
from genlab.inference.run import Run
from genlab.inspection.images import progress
from genlab.inspection.scene import scene_of
from genlab.media.kinds import MOST_COLUMNS, captions_of, class_name, shown_kind
from genlab.media.npz import NpzWriter
from genlab.system.files import check_room
from genlab.system.portions import rows_at_once

_SHOWN, _COLUMNS = 256, 8
_HEARD = 8  # samples of sound that are written beside the array
_LETTERS = 40  # of a class's name in a file name: 160 bytes in any script


def main(config: SampleConfig) -> None:
    run = load_run(config)
    if config.complete is not None:
        return complete_images(run, config)
    if config.format == "gif":
        return show_trajectory(run, config)
    kind = shown_kind(run.data)
    run.capability("sample")
    asked = run.conditioning.checked(config.condition, config.sampling, several=True)
    batches = run.draw(config.num_samples, config.seed, asked, **config.sampling)
    if config.format in ("png", "wav") and kind.suffix and kind.suffix != f".{config.format}":
        raise ValueError(f"format={config.format}: this run's examples are files of {kind.suffix}; "
                         f"give format={kind.suffix[1:]}")  # fmt: skip
    origin, most = image_origin(run, config), max(_SHOWN, kind.previewed)
    most = min(most, 4 * rows_at_once(run.data.shape, most=most))  # fewer large images
    arrays, grid = config.format not in ("png", "wav"), config.format != "npz"
    shown, captions, done = [], list[str](), 0
    if arrays:
        row = kind.array(torch.zeros(1, *run.data.shape)).nbytes
        check_room(run.folder, f"num_samples={config.num_samples}", config.num_samples * row)
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
                classes = captions_of(run.data, given)
                names = [_file_name(done + row, given, row, classes) for row in range(len(samples))]
                kind.save_each(samples, [single / f"{name}{kind.suffix}" for name in names], origin)
            if done < most:
                shown.append(samples[: most - done])
                captions += captions_of(run.data, given)
            done += len(samples)
        if arrays:
            writer.save(new / "samples.npz")
        heard = torch.cat(shown)[:_HEARD] if grid and arrays and kind.suffix == ".wav" else ()
        for number, sound in enumerate(heard, 1):
            kind.save_each(sound[None], [new / f"{number}{kind.suffix}"], origin)
        if grid:
            with drawn(new / "grid.png"):
                picture = kind.picture(_grid(run, torch.cat(shown), captions[:most], asked), origin, scene_of(run))
                (new / "grid.png").write_bytes(picture.content)
    if grid:
        print(f"grid       {path}/grid.png{f' (the first {most} of {done})' if done > most else ''}")
    if len(heard):
        print(f"sounds     {path}/1{kind.suffix} to {len(heard)}{kind.suffix}")
    print(f"array      {path}/samples.npz" if arrays else f"images     {path}/images ({done})")
    print(f"next       {command_line('sample', **same(run, config, 'sample'), seed=config.seed + 1)}")


def _grid(run: Run, x: torch.Tensor, captions: list[str], asked: dict[str, Any]) -> Grid:
    """Samples with the names of their classes; a class a column, of all or of the list asked for, if they have room."""
    kind, label = shown_kind(run.data), asked.get("label")
    several = label if isinstance(label, list) else None if "label" in asked else range(run.data.num_classes)
    if "label" not in run.model.conditions or several is None or len(several) > MOST_COLUMNS:
        return Grid(kind.arranged(x), cells=captions)
    if label is not None:  # by the user's names
        several = run.conditioning.rows(len(several), {"label": label})["label"].tolist()
    columns = len(several) * max(1, _COLUMNS // len(several)) if label else len(several)  # 7 and 2 four times each
    return Grid(kind.arranged(x, columns), columns=[class_name(run.data["label"], number) for number in several])


def _file_name(number: int, given: dict[str, torch.Tensor], row: int, classes: list[str]) -> str:
    """For example 0000012-label_7, or 0000012-label_7-owls of a class that has a name."""
    parts = [f"{number:07d}", *(f"{name}_{value[row]}" for name, value in given.items())]
    parts += [re.sub(r"\W", "_", classes[row])[:_LETTERS]] if classes else []
    return "-".join(parts)
