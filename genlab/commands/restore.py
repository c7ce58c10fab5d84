"""`genlab restore`: images from what is left of them, by a run that was trained for nothing of the kind."""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from genlab.commands.lines import command_line
from genlab.commands.results import drawn, image_origin, load_run, results, same
from genlab.config.commands import RestoreConfig
from genlab.contract.data import Field
from genlab.contract.model import Grid
from genlab.data.decoding import decode
from genlab.diffusion.operators import Operator, blurred, grey, masked, pooled
from genlab.inference.run import Run
from genlab.inspection.images import Images
from genlab.inspection.inputs import find_images, open_input
from genlab.media.images import save_image, to_uint8
from genlab.media.kinds import shown_kind
from genlab.media.metadata import COMPARED, Origin
from genlab.media.npz import NpzWriter
from genlab.metrics.reconstruction import peak_signal_to_noise, structural_similarity
from genlab.system.files import write_csv
from genlab.system.seeding import seeded

_SHOWN_IMAGES, _SHOWN_DRAWS = 12, 4

_BOX, _RANDOM = 1 / 2, 3 / 4
"""Side of the hidden box, of the image's; share of the pixels that are hidden at random."""


def main(config: RestoreConfig) -> None:
    run = load_run(config)
    run.capability("restore")
    asked = run.conditioning.checked(config.condition, config.sampling, capability="restore")
    field = run.data["x"]
    if field.kind != "image":
        raise ValueError(f"run={run.folder}: models {shown_kind(run.data).plural}, and images alone are restored")
    operator = _operator(config, field)
    if config.degraded and config.input is None:
        raise ValueError("degraded=true: is about images of your own; name them, as in input=photographs")
    images = find_images(run, config) if not config.degraded else _degraded(run, config, field, operator)
    rows: list[tuple[str, ...]] = []
    shown: list[Tensor] = []
    with (
        results(run, "restorations", config, config.task, images.title, seed=config.seed, **asked) as (new, path),
        NpzWriter(new) as writer,
    ):
        for number, x in enumerate(images.batches("restoring")):
            y = _observed(config, operator, x)
            draws = _draws(run, config, y, operator, number)
            mean, answer = draws.mean(1), operator.answer(y)
            names = images.names[-len(x) :]
            rows += _measured(None if config.degraded else x, y, draws, mean, answer, operator, names)
            writer.add(images=to_uint8(draws.flatten(0, 1)), means=to_uint8(mean), deviations=to_uint8(_spread(draws)))
            if config.input is not None:
                _save_each(draws, names, new / "images", image_origin(run, config))
            if sum(map(len, shown)) < _SHOWN_IMAGES:
                columns = [operator.seen(y), answer, mean, 2 * _spread(draws), *draws[:, :_SHOWN_DRAWS].unbind(1)]
                shown.append(torch.stack(columns if config.degraded else [x, *columns], 1))
        writer.save(new / "restorations.npz")
        heading = ("name", "agreement", "psnr", "psnr_of_draws", "psnr_of_answer", "ssim", "ssim_of_answer")
        write_csv(new / "restorations.csv", [heading[: len(rows[0])], *rows])
        with drawn(new / "grid.png"):
            own = [] if config.degraded else ["image"]
            titles = [*own, "given", operator.answer_name, "mean", "deviation x 2", *["draw"] * _SHOWN_DRAWS]
            grid = Grid(torch.cat(shown)[:_SHOWN_IMAGES], columns=titles[: shown[0].shape[1]])
            origin = image_origin(run, config, COMPARED)
            (new / "grid.png").write_bytes(shown_kind(run.data).picture(grid, origin).content)
    _tell(rows, operator, config.draws)
    print(f"images     {len(rows)} of {images.title}{images.left_out}, {config.draws} draws each")
    print(f"grid       {path}/grid.png\narray      {path}/restorations.npz\ntable      {path}/restorations.csv")
    if config.input is not None:
        print(f"files      {path}/images")
    print(f"next       {command_line('restore', **same(run, config, 'restore'), seed=config.seed + 1)}")


def _operator(config: RestoreConfig, field: Field) -> Operator:
    """What `task` takes from images of a field. `ValueError` if it cannot be taken from them."""
    channels, height, width = field.shape
    if config.task == "upscale":
        return pooled(height, width, config.scale)
    if config.task == "deblur":
        return blurred(height, width, config.blur)
    if config.task == "colourise":
        if channels == 1:
            raise ValueError("task=colourise: the run's images are grey; choose inpaint, upscale or deblur")
        return grey(channels)
    return masked(_kept(config, height, width))


def _kept(config: RestoreConfig, height: int, width: int) -> Tensor:
    """[height, width], 0 where an image is hidden: by name, or where the image file `mask` is white."""
    kept = torch.ones(height, width)
    if config.mask == "half":
        kept[height // 2 :] = 0
    elif config.mask == "box":
        tall, wide = int(height * _BOX), int(width * _BOX)
        kept[(height - tall) // 2 :, (width - wide) // 2 :][:tall, :wide] = 0
    elif config.mask == "random":
        kept = (torch.rand(height, width, generator=torch.Generator().manual_seed(config.seed)) >= _RANDOM).float()
    elif Path(config.mask).expanduser().is_file():
        kept = 1 - (decode(str(Path(config.mask).expanduser()), (1, height, width))[0] > 127).float()  # 8-bit grey
    else:
        raise ValueError(f"mask={config.mask}: give half, box, random, or an image file that is white where to fill in")
    if kept.all() or not kept.any():
        raise ValueError(f"mask={config.mask}: hides {'nothing' if kept.all() else 'everything'}")
    return kept


def _degraded(run: Run, config: RestoreConfig, field: Field, operator: Operator) -> Images:
    """The user's images, of the size that the operator leaves them."""
    _, height, width = field.shape
    small = operator.apply(torch.zeros(1, *field.shape)).shape[-2:] if config.task == "upscale" else (height, width)
    wanted = replace(field, shape=(field.shape[0], *small))
    return open_input(run, str(config.input), "input", config.skip_damaged, config.num_images, wanted=wanted)


def _observed(config: RestoreConfig, operator: Operator, x: Tensor) -> Tensor:
    """What is given of a batch."""
    if config.degraded and config.task == "upscale":
        return x
    if config.degraded and config.task == "deblur":
        return operator.apply(operator.inverse(x))  # what a blur can have left
    return operator.apply(x)


def _draws(run: Run, config: RestoreConfig, y: Tensor, operator: Operator, number: int) -> Tensor:
    """Restorations [N, draws, C, H, W]. number: of the batch, which seeds its noise with that of the draw."""
    fixed = run.conditioning.rows(len(y), config.condition)
    given = run.model.given({name: value.to(run.device) for name, value in fixed.items()} or None)
    found = []
    for draw in range(config.draws):
        with run.inference(), seeded(config.seed, number, draw):
            found.append(run.model.restore(y.to(run.device), operator, *given, **config.sampling).float().cpu())
    return torch.stack(found, 1)


def _spread(draws: Tensor) -> Tensor:
    """Standard deviation of each pixel [N, C, H, W] over draws [N, draws, C, H, W]."""
    return draws.std(1, correction=0)


def _measured(
    x: Tensor | None, y: Tensor, draws: Tensor, mean: Tensor, answer: Tensor, operator: Operator, names: list[str]
) -> list[tuple]:
    """By image: its name, the largest error of y, and PSNR and SSIM where the image x is known."""
    errors = torch.stack([(operator.apply(draw) - y).abs().flatten(1).amax(1) for draw in draws.unbind(1)]).amax(0)
    columns = [names, errors.tolist()]
    if x is not None:
        single = torch.stack([peak_signal_to_noise(x, draw) for draw in draws.unbind(1)]).mean(0)
        figures = peak_signal_to_noise(x, mean), single, peak_signal_to_noise(x, answer)
        columns += [values.tolist() for values in (*figures, *(structural_similarity(x, z) for z in (mean, answer)))]
    return list(zip(*columns, strict=True))


def _tell(rows: list[tuple], operator: Operator, draws: int) -> None:
    """Means over the images, as lines."""
    _, errors, *figures = zip(*rows, strict=True)
    if figures:
        psnr, single, simple, ssim, ssim_of_answer = (sum(values) / len(values) for values in figures)
        told = f"mean of {draws} draws {psnr:.2f} dB, a draw {single:.2f} dB, {operator.answer_name} {simple:.2f} dB"
        print(f"psnr       {told}")
        print(f"ssim       mean of {draws} draws {ssim:.4f}, {operator.answer_name} {ssim_of_answer:.4f}")
    print(f"agreement  with what was given: largest error {max(errors):.2g} of a pixel from 0 to 1")


def _save_each(draws: Tensor, names: list[str], folder: Path, origin: Origin | None) -> None:
    """Each draw as a file, NAME-1.png and so on."""
    for name, own in zip(names, draws, strict=True):
        for number, pixels in enumerate(to_uint8(own), 1):
            target = (folder / name).with_name(f"{Path(name).stem}-{number}.png")
            target.parent.mkdir(parents=True, exist_ok=True)
            save_image(pixels, target, origin)
