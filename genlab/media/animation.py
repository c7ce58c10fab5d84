"""From the images of a run's steps to an animation of them, and to a strip that shows some of them side by side."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_FRAMES = 300
"""Maximum number of frames in an animation: all of them are in memory while it is written."""

_SIDE, _STRIP_SIDE = 960, 480  # pixels, at most, of a frame and of an image in a strip
_HOLD = 2000  # milliseconds for which the last frame is held
_GAP, _FONT, _TITLE = 8, 18, 30  # pixels
_LARGEST = 2**26  # pixels of an image: a run may come from an untrusted source
_ENTRIES = ("Software", "Description", "model", "run", "step", "seed")
_LONGEST_ENTRY = 1000


def evenly(count: int, most: int) -> list[int]:
    """At most `most` of the indices 0 to count - 1, evenly spread, with the first and the last."""
    return sorted({round(place * (count - 1) / max(1, most - 1)) for place in range(most)}) if count else []


def growing(steps: Sequence[int], most: int) -> list[int]:
    """At most `most` of `steps`, which ascend: the first, the last, and those closest to a geometric sequence between
    them, as a model changes most in its first steps."""
    first, last = max(1, steps[0]), max(1, steps[-1])
    chosen = [steps[0]]
    for place in range(1, most - 1):
        wanted = first * (last / first) ** (place / (most - 1))
        later = [step for step in steps if step > chosen[-1]]
        if len(later) > 1:
            chosen.append(min(later[:-1], key=lambda step: abs(step - wanted)))
    return chosen + [steps[-1]] * (len(steps) > 1)


def save_film(
    paths: Sequence[Path], titles: Sequence[str], path: Path, milliseconds: int, entries: dict[str, str]
) -> None:
    """Write the images `paths` as a looping GIF, each below its title, with its last frame held. entries: its metadata.

    Smaller images stand at the top right of a frame, as their names are to the left of them.
    """
    opening, *rest = _titled([_within(read(source), _SIDE) for source in paths], titles)
    durations = [milliseconds] * len(rest) + [_HOLD]
    comment = "\n".join(f"{key}: {text}" for key, text in entries.items())
    opening.save(path, save_all=True, append_images=rest, duration=durations, loop=0, comment=comment)


def _titled(images: Sequence["Image"], titles: Sequence[str]) -> Iterator["Image"]:
    """Images below their titles, on white, all of one size."""
    from PIL import Image, ImageDraw, ImageFont

    width, height = (max(image.size[axis] for image in images) for axis in (0, 1))
    font = ImageFont.load_default(_FONT)
    for image, title in zip(images, titles, strict=True):
        whole = Image.new("RGB", (width, _TITLE + height), "white")
        ImageDraw.Draw(whole).text((width - image.width / 2, _TITLE / 2), title, fill="black", font=font, anchor="mm")
        whole.paste(image, (width - image.width, _TITLE))
        yield whole


def save_strip(
    paths: Sequence[Path], titles: Sequence[str], path: Path, entries: dict[str, str], columns: int | None = None
) -> None:
    """Write the images `paths` side by side, each below its title, as one PNG. entries: its metadata.

    columns: maximum number of images in a row; None for all.
    """
    from PIL.PngImagePlugin import PngInfo

    images = list(_titled([_within(read(source), _STRIP_SIDE) for source in paths], titles))
    columns = min(columns or len(images), len(images))
    across, down = images[0].width + _GAP, images[0].height + _GAP
    strip = images[0].resize((columns * across - _GAP, -(-len(images) // columns) * down - _GAP))
    strip.paste("white", (0, 0, *strip.size))
    for number, image in enumerate(images):
        row, column = divmod(number, columns)
        strip.paste(image, (column * across, row * down))
    info = PngInfo()
    for key, text in entries.items():
        info.add_text(key, text)
    strip.save(path, pnginfo=info)


def read(path: Path) -> "Image":
    """A PNG as an RGB image. `ValueError` if it is damaged or too large."""
    with _opened(path) as image:
        return image.convert("RGB")


def entries_of(path: Path, step: str) -> dict[str, str]:
    """The metadata of a PNG that GenLab wrote, with another `step`; nothing if it was written without."""
    with _opened(path) as image:
        found = {key: str(image.info[key])[:_LONGEST_ENTRY] for key in _ENTRIES if key in image.info}
    return found | ({"step": step} if "step" in found else {})


@contextmanager
def _opened(path: Path) -> Iterator["Image"]:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path, formats=("PNG",)) as image:
            if image.width * image.height > _LARGEST:
                raise ValueError(f"{path}: is too large ({image.width}x{image.height} pixels); remove it")
            yield image
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path}: is a damaged PNG file; remove it") from error


def _within(image: "Image", side: int) -> "Image":
    """The image, reduced if a side is longer than `side`."""
    image.thumbnail((side, side))
    return image
