"""`genlab translate`: images translated to the other domain and, if the model can, back."""

import os
from collections import Counter
from collections.abc import Callable
from math import prod
from pathlib import Path

import torch

from genlab.commands.lines import command_line
from genlab.commands.results import drawn, image_origin, load_run, results, same
from genlab.config.commands import TranslateConfig
from genlab.contract.model import Grid
from genlab.data.loading import as_examples
from genlab.data.pairs import DERIVED
from genlab.inference.run import Run
from genlab.inspection.dataset import dataset_images
from genlab.inspection.images import Images
from genlab.inspection.inputs import open_input
from genlab.media.grids import in_blocks, same_channels
from genlab.media.images import to_uint8
from genlab.media.kinds import shown_kind
from genlab.media.metadata import COMPARED
from genlab.media.npz import NpzWriter
from genlab.system.files import check_room
from genlab.system.portions import rows_at_once
from genlab.system.seeding import mix

_AT_ONCE = 16
"""Images that share a seed."""

_COLUMNS, _BLOCKS = 8, 8

_NAME_BYTES = 255  # of a file, on most file systems


def main(config: TranslateConfig) -> None:
    run = load_run(config)
    run.capability("translate")
    kind = shown_kind(run.data)
    domain = run.origin_of(config.to)
    returns = domain in run.model.targets
    if config.draws > 1 and "translate" not in run.model.noisy:
        raise ValueError(f"draws={config.draws}: this run has no noise, and translates an image one way; leave it out")
    derive, pair = _derivation(run, config, domain)
    images = _images(run, config, "b" if derive else domain)
    given = config.input or images.title
    check_room(run.folder, f"input={given}", images.size * config.draws * prod(run.data[config.to].shape))
    origin = image_origin(run, config)
    shown: list[tuple[torch.Tensor, ...]] = []
    most = rows_at_once(run.data[config.to].shape, run.data[domain].shape, most=_COLUMNS * _BLOCKS)
    error, done = 0.0, 0
    with (
        results(run, "translations", config, images.title, to=config.to) as (new, path),
        NpzWriter(new) as writer,
    ):
        for batch in images.batches("translating"):
            for x in batch.split(_AT_ONCE):
                seed = mix(config.seed, done)
                x = derive(x, seed) if derive else x
                draws = [run.translate(x, config.to, mix(seed, draw)) for draw in range(config.draws)]
                writer.add(images=to_uint8(torch.stack(draws, 1).flatten(0, 1)))
                row = [x, *draws]
                if returns:
                    cycle = run.translate(draws[0], domain, seed)
                    writer.add(cycles=to_uint8(cycle))
                    error += (cycle - x).abs().flatten(1).mean(1).sum().item()
                    row.append(cycle)
                if done < most:
                    shown.append(same_channels(*row))
                done += len(x)
        if returns:
            print(f"cycle      mean absolute error {error / done:.4f} of a pixel from 0 to 1, there and back")
        names = _numbered(images.names, config.draws)
        for target, pixels in zip(_targets(names), writer.array("images"), strict=True):
            target = new / "images" / target
            target.parent.mkdir(parents=True, exist_ok=True)
            kind.save_stored(pixels, target.with_suffix(kind.suffix), origin)
        writer.save(new / "translations.npz")
        with drawn(new / "grid.png"):
            grid = in_blocks(*map(torch.cat, zip(*shown, strict=True)), columns=_COLUMNS, blocks=_BLOCKS)
            rows = [domain, *[f"{domain} to {config.to}"] * config.draws, *[f"back to {domain}"] * returns]
            picture = kind.picture(Grid(grid, rows=rows), image_origin(run, config, COMPARED))
            (new / "grid.png").write_bytes(picture.content)
    if derive:
        print(f"derived    a from each image by dataset.pair={pair}; derive=false takes the images for a themselves")
    print(f"images     {path}/images ({done} of {given}{images.left_out})")
    print(f"grid       {path}/grid.png\narray      {path}/translations.npz")
    if returns:
        back = {**same(run, config, "translate"), "input": path / "images", "to": domain}
        print(f"next       {command_line('translate', **back)}")
    else:
        print(f"next       {command_line('evaluate', **same(run, config, 'evaluate'))}")


def _images(run: Run, config: TranslateConfig, domain: str) -> Images:
    """Images of a domain: those of `config.input`, or else the first ones of the validation data."""
    if config.input is None:
        return dataset_images(run, config, _COLUMNS * _BLOCKS, domain)
    if config.dataset is not None:
        raise ValueError(f"input={config.input} and {config.dataset}: give one of the two")
    return open_input(run, config.input, "input", config.skip_damaged, domain=domain)


def _derivation(
    run: Run, config: TranslateConfig, domain: str
) -> tuple[Callable[[torch.Tensor, int], torch.Tensor] | None, str]:
    """What makes a of images x [N, C, H, W] of b with a seed, and the name of the pairs that the run was trained on.
    None if the images are to be translated themselves."""
    pair = run.config.dataset.get("pair")
    if domain != "a" or pair not in DERIVED or not config.derive:
        return None, ""

    def derive(x: torch.Tensor, seed: int) -> torch.Tensor:
        holes = torch.rand(len(x), 3, generator=torch.Generator().manual_seed(seed))
        return as_examples(DERIVED[pair]((x * 255).round().byte(), holes), run.data["a"])

    return derive, pair


def _numbered(names: list[str], draws: int) -> list[str]:
    """A name for each draw: x-1.jpg, x-2.jpg; x.jpg alone for one draw."""
    if draws == 1:
        return names
    return [str(path.with_stem(f"{path.stem}-{draw + 1}")) for path in map(Path, names) for draw in range(draws)]


def _short(path: Path, more: str = "") -> Path:
    """`path`, a PNG file, with `more` at the end of its stem, cut to the length that a name may have."""
    end = f"{more}.png"
    if not more and len(os.fsencode(path.name)) <= _NAME_BYTES:
        return path
    return path.with_name(os.fsdecode(os.fsencode(path.stem)[: _NAME_BYTES - len(end)]) + end)


def _targets(names: list[str]) -> list[Path]:
    """Output file names, all different: x.png for x.jpg, or x.jpg.png if there is also an x.webp. One that is too long
    for a file system is cut."""
    paths = [Path(name) for name in names]
    stems = Counter(path.with_suffix("") for path in paths)
    taken = {folder for path in paths for folder in path.parents}
    targets = []
    for path in paths:
        target = path.with_suffix(".png") if stems[path.with_suffix("")] == 1 else Path(f"{path}.png")
        while target in taken:
            target = Path(f"{target}.png")
        target, number = _short(target), 0
        while target in taken:
            number += 1
            target = _short(target, f"-{number}")
        taken.add(target)
        targets.append(target)
    return targets
