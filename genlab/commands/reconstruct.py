"""`genlab reconstruct`: examples beside their reconstructions by a trained run, and the errors between them."""

import torch

from genlab.commands.lines import command_line
from genlab.commands.results import drawn, image_origin, load_run, results, same
from genlab.config.commands import ImagesConfig
from genlab.inspection.inputs import find_images
from genlab.inspection.scene import scene_of
from genlab.media.kinds import shown_kind
from genlab.media.metadata import COMPARED
from genlab.media.npz import NpzWriter
from genlab.metrics.reconstruction import mean_squared_error
from genlab.system.files import check_room, write_csv
from genlab.system.text import printable

_COLUMNS, _BLOCKS = 8, 4


def main(config: ImagesConfig) -> None:
    run = load_run(config)
    run.capability("reconstruct")
    asked = run.conditioning.checked(config.condition)
    kind = shown_kind(run.data)
    images = find_images(run, config)
    pair = 2 * kind.array(torch.zeros(1, *run.data.shape)).nbytes
    check_room(run.folder, f"the reconstructions of {images.title}", images.size * pair)
    errors: list[float] = []
    shown = []
    with results(run, "reconstructions", config, images.title, **asked) as (new, path), NpzWriter(new) as writer:
        for x, own in images.with_conditions("reconstructing"):
            y = run.reconstruct(x, run.conditioning.of_examples(len(x), config.condition, own))
            error = mean_squared_error(x, y).float()
            writer.add(**{kind.plural: kind.array(x)}, reconstructions=kind.array(y), errors=error)
            if len(errors) < _COLUMNS * _BLOCKS:
                shown.append((x, y))
            errors += error.tolist()
        (least, best), (most, worst) = (choose(zip(errors, images.names, strict=True)) for choose in (min, max))
        told = f"least {least:.5f} (example {printable(best)}), most {most:.5f} (example {printable(worst)})"
        print(f"error      mean {sum(errors) / len(errors):.5f}, {told}")
        write_csv(new / "errors.csv", [("name", "mse"), *zip(images.names, errors, strict=True)])
        writer.save(new / "reconstructions.npz")
        rows = kind.beside(*map(torch.cat, zip(*shown, strict=True)))
        with drawn(new / "grid.png"):
            picture = kind.picture(rows, image_origin(run, config, COMPARED), scene_of(run), connected=True)
            (new / "grid.png").write_bytes(picture.content)
    print(f"{kind.plural:<10} {len(errors)} of {images.title}{images.left_out}")
    print(f"grid       {path}/grid.png\narray      {path}/reconstructions.npz\ntable      {path}/errors.csv")
    print(f"next       {command_line('encode', **same(run, config, 'encode'))}")
