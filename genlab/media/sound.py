"""Sound as a kind of data: images of its frequencies over time, which can be heard."""

import wave
from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from genlab.contract.field import Spectrogram
from genlab.contract.model import Grid
from genlab.media.grids import to_png
from genlab.media.image_kind import Image
from genlab.media.images import Png
from genlab.media.kind import Scene
from genlab.media.metadata import Origin
from genlab.media.spectrogram import sound

_HEARD = 8
"""Examples of a picture that can be heard."""


@dataclass(frozen=True)
class Sound(Image):
    """Spectrograms [1, bins, frames] in [0, 1]: shown with low frequencies below, written as WAV files."""

    spectrogram: Spectrogram

    suffix: ClassVar[str] = ".wav"

    def picture(
        self,
        shown: Tensor | Grid,
        origin: Origin | None = None,
        scene: Scene | None = None,
        connected: bool = False,
    ) -> Png:
        grid = Grid.of(shown)
        return to_png(replace(grid, examples=self.upright(grid.examples)), origin)

    def heard(self, shown: Tensor | Grid) -> dict[str, bytes]:
        grid = Grid.of(shown)
        if grid.rows:  # different things: some of each are heard
            heard = grid.examples[: len(grid.rows), : max(1, _HEARD // len(grid.rows)), :1]
        else:
            heard = grid.examples.flatten(0, 1)[None, :_HEARD, :1]
        names = [f"{row} {number}".strip() for row in grid.rows or [""] for number in range(1, heard.shape[1] + 1)]
        return dict(zip(names, self.wav_files(heard.flatten(0, 1)), strict=True))

    def upright(self, x: Tensor) -> Tensor:
        return x.flip(-2)

    def save_each(self, x: Tensor, paths: Sequence[Path], origin: Origin | None = None) -> None:
        for content, path in zip(self.wav_files(x), paths, strict=True):
            path.write_bytes(content)

    def save_stored(self, stored: np.ndarray, path: Path, origin: Origin | None = None) -> None:
        self.save_each(torch.tensor(stored).permute(2, 0, 1)[None].float() / 255, [path], origin)

    def wav_files(self, x: Tensor) -> tuple[bytes, ...]:
        """The content of a file of 16-bit sound for each of the examples [N, 1, bins, frames]."""
        waves = (sound(x.float().cpu(), self.spectrogram) * (2**15 - 1)).round().short().numpy()
        return tuple(map(self._wav_file, waves))

    def _wav_file(self, samples: np.ndarray) -> bytes:
        content = BytesIO()
        with wave.open(content, "wb") as file:
            file.setparams((1, 2, self.spectrogram.rate, len(samples), "NONE", ""))
            file.writeframes(samples.tobytes())
        return content.getvalue()

    def augment(self, x: Tensor, flipped: Tensor | None, shifts: tuple[Tensor, Tensor] | None) -> Tensor:
        """Shifted in time alone, as other frequencies would be another voice."""
        return x if shifts is None else super().augment(x, None, (torch.zeros_like(shifts[0]), shifts[1]))

    def check_augmentation(self, flip: bool, shift: int) -> None:
        if flip or shift:
            raise ValueError("loader.flip, loader.shift: sound is neither flipped nor shifted; leave them out")
