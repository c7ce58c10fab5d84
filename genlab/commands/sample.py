"""`genlab sample`: new pictures from a trained run, as a grid and as an array. Needs the checkpoint alone."""

from genlab.commands.use import compose_use, load_run

HELP = """usage: genlab sample [run=DIR] [key=value ...]

Draw new pictures from a trained run and write RUN/samples/NAME/grid.png and samples.npz
(images: uint8 N,H,W,C; labels where the model takes them).

  genlab sample run=outputs/vae-mnist/20261120-153012-5306 num_samples=100
  genlab sample run=latest seed=3 label=7

keys
  run          a run folder, a checkpoint file, or latest (default)
  num_samples  how many pictures (64)
  label        class of all of them, for models that take labels (all classes in turn)
  seed         the pictures are a function of it (0)
  device       auto, cpu, cuda, mps"""


def main(arguments: list[str]) -> int:
    config = compose_use("sample", arguments)
    if config.num_samples < 1:
        raise ValueError(f"num_samples={config.num_samples}: must be at least 1")

    from genlab.sampling.draw import draw
    from genlab.sampling.grids import save_png, square
    from genlab.sampling.write import save_npz

    run = load_run(config)
    pictures, labels = draw(run, config.num_samples, config.seed, config.label)
    suffix = "" if config.label is None else f"-label_{config.label}"
    folder = run.folder / "samples" / f"step_{run.step:07d}-seed_{config.seed}{suffix}"
    folder.mkdir(parents=True, exist_ok=True)
    save_npz(folder / "samples.npz", images=pictures, labels=labels)
    save_png(square(pictures[:256]), folder / "grid.png")
    print(f"pictures   {folder}/grid.png\narray      {folder}/samples.npz")
    print(f"next       genlab sample run={run.folder} seed={config.seed + 1}")
    return 0
