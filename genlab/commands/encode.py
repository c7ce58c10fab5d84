"""`genlab encode`: the latents of images as an array, and a plot of them."""

import sys
from typing import Any

import numpy as np

from genlab.commands.lines import command_line
from genlab.commands.results import results
from genlab.commands.use import load_run
from genlab.config.commands import EncodeConfig
from genlab.inspection.inputs import find_images
from genlab.inspection.latents import latents_of
from genlab.media.plots import TSNE_LIMIT, check_plot, project, save_scatter


def main(config: EncodeConfig) -> int:
    run = load_run(config)
    run.capability("encode")
    images = find_images(run, config)
    with results(run, "latents", config, images.title) as result:
        latents, names, labels = latents_of(run, images)
        check_plot(config.plot, *latents.shape)
        arrays: dict[str, Any] = {"latents": latents.numpy(), "names": np.array(names)}
        if labels is not None:
            arrays["labels"] = labels.numpy()
        np.savez_compressed(result.writing / "latents.npz", **arrays)
        if config.plot != "none":
            if config.plot == "tsne":
                print(f"t-SNE of {min(len(names), TSNE_LIMIT)} images, which can take a minute ...", file=sys.stderr)
            plotted = project(latents.numpy(), config.plot, config.seed)
            title = f"{run.config.choices.model}, step {run.step}: {len(plotted.rows)} images of {images.title}"
            save_scatter(plotted, arrays.get("labels"), title, result.writing / "plot.png")
    print(f"images     {len(names)} of {images.title}{images.left_out}")
    print(f"array      {result.path}/latents.npz ({latents.shape[1]} latents each)")
    if config.plot != "none":
        print(f"plot       {result.path}/plot.png ({len(plotted.rows)} images; {'; '.join(plotted.axes)})")
    print(f"next       {command_line('traverse', run=run.folder)}")
    return 0
