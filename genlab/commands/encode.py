"""`genlab encode`: the latents of examples as an array, and a plot of them."""

import sys

import numpy as np
import torch

from genlab.commands.lines import command_line
from genlab.commands.results import drawn, load_run, results, same
from genlab.config.commands import EncodeConfig
from genlab.inspection.inputs import find_images
from genlab.media.kinds import shown_kind
from genlab.media.npz import save_npz
from genlab.media.plots import TSNE_LIMIT, project, save_scatter
from genlab.system.text import printable


def main(config: EncodeConfig) -> None:
    run = load_run(config)
    run.capability("encode")
    asked = run.conditioning.checked(config.condition)
    images, several = find_images(run, config), shown_kind(run.data).plural
    with results(run, "latents", config, images.title, **asked) as (new, path):
        latents = torch.cat(
            [
                run.encode(x, run.conditioning.of_examples(len(x), config.condition, own))
                for x, own in images.with_conditions("encoding")
            ]
        ).numpy()
        save_npz(new / "latents.npz", latents=latents, names=np.array(images.names), labels=images.labels)
        shown = "not drawn"
        if config.plot != "none":
            if config.plot == "tsne":
                print(
                    f"t-SNE of {min(len(latents), TSNE_LIMIT)} {several}, which can take a minute ...", file=sys.stderr
                )
            with drawn(new / "plot.png"):
                plotted = project(latents, config.plot, config.seed)
                title = f"{run.config.choices.model}, step {run.step}: {len(plotted.rows)} {several} of {images.title}"
                save_scatter(plotted, images.labels, title, new / "plot.png", images.classes)
                shown = f"{path}/plot.png ({len(plotted.rows)} {several}; axes: {' and '.join(plotted.axes)})"
    print(f"{several:<10} {len(latents)} of {printable(images.title)}{images.left_out}")
    print(f"array      {path}/latents.npz ({latents.shape[1]} latents each)")
    if config.plot != "none":
        print(f"plot       {shown}")
    print(f"next       {command_line('traverse', **same(run, config, 'traverse'))}")
