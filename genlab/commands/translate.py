"""`genlab translate`: a folder of pictures carried to the other domain. Needs the checkpoint alone."""

from collections import Counter
from pathlib import Path

from genlab.commands.use import compose_use, load_run

HELP = """usage: genlab translate [run=DIR] input=FOLDER [to=a|b]

Translate every picture of a folder and write it under its own name to RUN/translations/NAME/pictures/,
beside grid.png (each row of pictures above its translations) and translations.npz.

  genlab translate run=latest input=photographs to=b

keys
  run     a run folder, a checkpoint file, or latest (default)
  input   folder with pictures of the other domain; resized and cropped to what the model takes
  to      domain to translate to, a or b (default)
  device  auto, cpu, cuda, mps"""

_BATCH = 16


def main(arguments: list[str]) -> int:
    config = compose_use("translate", arguments)
    if config.input is None:
        raise ValueError("input=null: name a folder of pictures, as in input=photographs")

    import torch
    from torchvision.utils import save_image
    from tqdm import tqdm

    from genlab.data.folders import check_folder, list_pictures
    from genlab.data.pictures import decode
    from genlab.models.ae import above_and_below
    from genlab.sampling.grids import save_png
    from genlab.sampling.write import save_npz
    from genlab.seeding import seeded

    run = load_run(config)
    translate = run.capability("translate")
    if config.to not in run.data.domains:
        raise ValueError(f"to={config.to}: this run translates to {' and '.join(run.data.domains)}")
    root = Path(check_folder(config.input, "photographs", key="input"))
    paths = list_pictures(str(root), key="input")
    pictures = torch.stack([decode(path, run.data.shape) for path in paths]).float() / 255
    with torch.no_grad(), seeded(config.seed):
        parts = [
            translate(part.to(run.device), config.to).cpu()
            for part in tqdm(pictures.split(_BATCH), "translating", disable=None)
        ]
    translations = torch.cat(parts)
    folder = run.folder / "translations" / f"step_{run.step:07d}-{root.resolve().name}-to_{config.to}"
    names = [Path(path).relative_to(root) for path in paths]
    stems = Counter(name.with_suffix("") for name in names)
    for name, translation in zip(names, translations, strict=True):
        unique = stems[name.with_suffix("")] == 1  # x.jpg and x.png must not become one file
        target = folder / "pictures" / (name.with_suffix(".png") if unique else f"{name}.png")
        target.parent.mkdir(parents=True, exist_ok=True)
        save_image(translation, target)
    save_png(above_and_below(pictures, translations), folder / "grid.png")
    save_npz(folder / "translations.npz", images=translations)
    print(f"pictures   {folder}/pictures ({len(paths)} of {root})\ngrid       {folder}/grid.png")
    return 0
