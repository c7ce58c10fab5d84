"""`genlab translate`: pictures carried to the other domain and back again. Needs the checkpoint alone."""

from collections import Counter
from pathlib import Path

from genlab.commands.results import results
from genlab.commands.use import COMMON_KEYS, command_line, compose_use, load_run

HELP = f"""usage: genlab translate [run=DIR] input=PICTURES [to=a|b] [key=value ...]

Translate every picture into RUN/translations/NAME/pictures/ (names kept, as PNG), beside grid.png (rows of
pictures, of their translations, and of these carried back) and translations.npz (images: the translations,
cycles: these carried back, both uint8 N,H,W,C).

  genlab translate run=latest input=photographs to=b
  genlab translate run=latest input=paintings to=a skip_damaged=true

keys
  input         a picture, a folder of pictures or an npz file (its array images), of the other domain;
                scaled and cropped to what the model takes; any number, memory does not grow with it
  to            domain to translate to, a or b (default)
  skip_damaged  true leaves out pictures that cannot be read, instead of stopping at them (false)
{COMMON_KEYS}"""

_AT_ONCE = 16  # translators keep many maps of full size
_COLUMNS, _BLOCKS = 8, 8


def main(arguments: list[str]) -> int:
    config = compose_use("translate", arguments)
    if config.input is None:
        raise ValueError("input=null: name a folder of pictures, as in input=photographs")

    import torch
    from tqdm import tqdm

    from genlab.sampling.grids import in_blocks, save_png
    from genlab.sampling.inputs import find_pictures
    from genlab.sampling.origin import COMPARED, result_origin
    from genlab.sampling.spool import Spool
    from genlab.sampling.write import save_picture, to_uint8
    from genlab.seeding import mix

    run = load_run(config)
    run.capability("translate")
    back = next(domain for domain in run.data.domains if domain != config.to)
    pictures = find_pictures(run, config)
    origin = result_origin(run, config)
    names, shown, error = [], [], 0.0
    parts = (pictures.title, f"to_{config.to}")
    with results(run, "translations", config, *parts) as result, Spool(result.writing) as spool:
        with tqdm(total=pictures.size, desc="translating", disable=None, leave=False) as bar:
            for portion in pictures.portions():
                for x in portion.image.split(_AT_ONCE):
                    seed = mix(config.seed, bar.n)
                    translation = run.translate(x, config.to, seed)
                    cycle = run.translate(translation, back, seed)
                    spool.add(images=to_uint8(translation), cycles=to_uint8(cycle))
                    error += (cycle - x).abs().flatten(1).mean(1).sum().item()
                    if len(shown) * _AT_ONCE < _COLUMNS * _BLOCKS:
                        shown.append((x, translation, cycle))
                    bar.update(len(x))
                names += portion.names
        for target, pixels in zip(_targets(names), spool.rows("images"), strict=True):
            path = result.writing / "pictures" / target
            path.parent.mkdir(parents=True, exist_ok=True)
            save_picture(pixels, path, origin)
        spool.save(result.writing / "translations.npz")
        grid = in_blocks(*map(torch.cat, zip(*shown, strict=True)), columns=_COLUMNS, blocks=_BLOCKS)
        save_png(grid, result.writing / "grid.png", result_origin(run, config, COMPARED))
    folder = result.path
    left_out = f", {len(pictures.skipped)} damaged ones left out" if pictures.skipped else ""
    print(f"cycle      mean absolute error {error / len(names):.4f} of a pixel from 0 to 1, there and back")
    print(f"pictures   {folder}/pictures ({len(names)} of {config.input}{left_out})")
    print(f"grid       {folder}/grid.png\narray      {folder}/translations.npz")
    print(f"next       {command_line('translate', run=run.folder, input=folder / 'pictures', to=back)}")
    return 0


def _targets(names: list[str]) -> list[Path]:
    """Names of the files to write, all different: x.png for x.jpg, x.jpg.png where there is an x.webp as well."""
    paths = [Path(name) for name in names]
    stems = Counter(path.with_suffix("") for path in paths)
    taken = {folder for path in paths for folder in path.parents}
    targets = []
    for path in paths:
        target = path.with_suffix(".png") if stems[path.with_suffix("")] == 1 else Path(f"{path}.png")
        while target in taken:
            target = Path(f"{target}.png")
        taken.add(target)
        targets.append(target)
    return targets
