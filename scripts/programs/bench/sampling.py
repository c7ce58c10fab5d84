"""Sampling pixel by pixel: networks that remember what did not change, and a whole forward pass for each pixel."""

import time
from functools import partial
from math import prod
from statistics import median

import torch
from bench.report import Table

from genlab.config.build import build_model, build_source
from genlab.config.compose import compose_job, register
from genlab.config.options import class_of
from genlab.config.paths import options
from genlab.models.autoregressive import Autoregressive
from genlab.networks.autoregressive import AutoregressiveNet

NOTES = (
    "Seconds for all images at once, 28x28, binary, with the recipe's network on one thread: medians of the rounds, "
    "and of their ratios [least, most]. Equal: whether both give the same images, to the bit."
)


def table(images: int, rounds: int) -> Table:
    """A line for each autoregressive recipe; the two ways take turns."""
    register()
    torch.set_num_threads(1)
    lines: Table = [("model", "images", "whole passes s", "remembering s", "times as fast", "equal")]
    for name in options("model"):
        if class_of("model", name) is Autoregressive:
            lines.append((name, str(images), *raced(name, images, rounds)))
    return lines


@torch.inference_mode()
def raced(name: str, images: int, rounds: int) -> tuple[str, ...]:
    """The figures of `table` for one recipe."""
    config = compose_job([f"model={name}", "dataset=digits", "dataset.size=28"]).config
    torch.manual_seed(0)
    model = build_model(config, build_source(config.dataset).spec).eval()
    assert isinstance(model, Autoregressive)
    noise = torch.rand(images, prod(model.data.shape), 2)
    ways = {"remembering": model.network.entries, "whole": partial(AutoregressiveNet.entries, model.network)}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    drawn = {}
    for number in range(rounds):
        for way in ways if number % 2 == 0 else reversed(ways):
            model.network.entries = ways[way]  # type: ignore[method-assign]
            begin = time.perf_counter()
            drawn[way] = model.drawn(noise)
            seconds[way].append(time.perf_counter() - begin)
    ratios = [whole / kept for whole, kept in zip(seconds["whole"], seconds["remembering"], strict=True)]
    return (
        f"{median(seconds['whole']):.2f}",
        f"{median(seconds['remembering']):.2f}",
        f"{median(ratios):.1f} [{min(ratios):.1f}, {max(ratios):.1f}]",
        "yes" if torch.equal(drawn["whole"], drawn["remembering"]) else "no",
    )
