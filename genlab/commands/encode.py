"""`genlab encode`: the latents of pictures as an array, and a plot of them."""

from genlab.commands.results import results
from genlab.commands.use import COMMON_KEYS, command_line, compose_use, load_run

HELP = f"""usage: genlab encode [run=DIR] [input=PICTURES] [key=value ...]

Encode pictures into RUN/latents/NAME/: latents.npz (latents: N,L; names of the pictures; labels where the data
has them) and plot.png (the latents in two dimensions, coloured by label).

  genlab encode run=latest
  genlab encode run=latest plot=tsne num_pictures=2000
  genlab encode run=latest input=photographs plot=none

keys
  input         a picture, a folder of pictures or an npz file (its array images); null takes validation data
  num_pictures  how many at most (all)
  plot          pca (default: principal components, with their shares of the variance), tsne (of at most 5000
                pictures, drawn by the seed) or none
  dataset       validation data of another dataset than the run's own, as in dataset=mnist
  data_dir      where datasets lie ($GENLAB_DATA, else data)
  skip_damaged  true leaves out pictures that cannot be read, instead of stopping at them (false)
{COMMON_KEYS}"""


def main(arguments: list[str]) -> int:
    config = compose_use("encode", arguments)

    import sys

    import numpy as np

    from genlab.sampling.codes import codes_of
    from genlab.sampling.inputs import find_pictures
    from genlab.sampling.plots import TSNE_LIMIT, check_plot, project, save_scatter

    run = load_run(config)
    run.capability("encode")
    pictures = find_pictures(run, config)
    with results(run, "latents", config, pictures.title) as result:
        codes, names, labels = codes_of(run, pictures)
        check_plot(config.plot, *codes.shape)
        arrays = {"latents": codes.numpy(), "names": np.array(names)}
        if labels is not None:
            arrays["labels"] = labels.numpy()
        np.savez_compressed(result.writing / "latents.npz", **arrays)
        if config.plot != "none":
            if config.plot == "tsne":
                print(f"t-SNE of {min(len(names), TSNE_LIMIT)} pictures, which can take a minute ...", file=sys.stderr)
            plotted = project(codes.numpy(), config.plot, config.seed)
            title = f"{run.config.choices.model}, step {run.step}: {len(plotted.rows)} pictures of {pictures.title}"
            save_scatter(plotted, arrays.get("labels"), title, result.writing / "plot.png")
    left_out = f", {len(pictures.skipped)} damaged ones left out" if pictures.skipped else ""
    print(f"pictures   {len(names)} of {pictures.title}{left_out}")
    print(f"array      {result.path}/latents.npz ({codes.shape[1]} latents each)")
    if config.plot != "none":
        print(f"plot       {result.path}/plot.png ({len(plotted.rows)} pictures; {'; '.join(plotted.axes)})")
    print(f"next       {command_line('traverse', run=run.folder)}")
    return 0
