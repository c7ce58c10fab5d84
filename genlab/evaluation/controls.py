"""Is an extractor to be trusted? It is checked on images whose order of quality is known.

Held-out real images must be nearer to training images than blurred copies of them, and these nearer than noise, in
Frechet distance, kernel distance and coverage. An extractor that learned its training images by heart, or that does not
see what makes an image a bad one, fails that, whatever its accuracy is.
"""

import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from genlab.data.cache import cached
from genlab.data.fingerprint import data_fingerprint
from genlab.data.source import Source
from genlab.evaluation.extractor import Extractor
from genlab.evaluation.features import make_extractor
from genlab.evaluation.real_images import count_images, real_images
from genlab.media.kinds import shown_kind
from genlab.metrics.frechet import Moments, frechet_distance
from genlab.metrics.kernel import cubic_kernel, mmd_squared
from genlab.metrics.manifold import manifold_metrics
from genlab.system.distributed import rank

log = logging.getLogger("genlab")

FEWEST = 50
"""With fewer training or held-out images the order of the controls is a matter of chance."""

_BLUR = 1 / 32
"""Standard deviation of the blur, as a fraction of the shorter side; at least a pixel."""

_AUTO = ("classifier", "random-conv", "pixels", "values")
"""What extractor=auto tries in turn; the last one that reads this kind of data is taken in any case."""


@dataclass(frozen=True)
class Ranking:
    """A figure of the three controls, as distances from training images."""

    real: float
    blurred: float
    noise: float

    def __str__(self) -> str:
        return f"{self.real:.3g} real, {self.blurred:.3g} blurred, {self.noise:.3g} noise"


@dataclass(frozen=True)
class Controls:
    """What an extractor says of the controls. images: held-out ones."""

    images: int
    frechet_distance: Ranking
    kernel_distance: Ranking
    coverage: Ranking

    def failed(self) -> list[str]:
        """The figures that are out of order, in words."""
        near, far, share = self.frechet_distance, self.kernel_distance, self.coverage
        return [
            f"{name} {ranking}"
            for name, ranking, ordered in (
                ("Frechet distance", near, near.real < near.blurred < near.noise),
                ("kernel distance", far, far.real < far.blurred < far.noise),
                ("coverage", share, share.real > share.blurred >= share.noise),  # it is 0 from some distance on
            )
            if not ordered  # also if one is NaN
        ]

    def __str__(self) -> str:
        parts = ("Frechet distance", self.frechet_distance), ("kernel distance", self.kernel_distance)
        return "; ".join(f"{name} {ranking}" for name, ranking in (*parts, ("coverage", self.coverage)))


@dataclass(frozen=True)
class Checked:
    """An extractor, its controls (None if there are none), and why it is not to be trusted (None if it is)."""

    extractor: Extractor
    controls: Controls | None = None
    objection: str | None = None

    @property
    def accuracy(self) -> float | None:
        """Of its classes on held-out images, if it knows the dataset's."""
        return getattr(self.extractor, "accuracy", None)

    def __str__(self) -> str:
        accuracy = "" if self.accuracy is None else f", accuracy {self.accuracy:.4f} on held-out images"
        return f"{self.extractor.name}{accuracy}"

    def protocol(self) -> dict[str, object]:
        """What stands beside every figure that it gives, as plain values."""
        accuracy = {} if self.accuracy is None else {"extractor_accuracy": self.accuracy}
        controls = {} if self.controls is None else {"extractor_controls": asdict(self.controls)}
        return accuracy | controls | ({} if self.objection is None else {"extractor_objection": self.objection})


def choose_extractor(name: str, source: Source, device: torch.device | str, quick: bool = False) -> Checked:
    """The extractor `name`, checked; of "auto" the first that passes, or else the last. The log says what was chosen,
    and why no other. quick: "auto" leaves out the classifier, which would have to be trained. `ValueError` if an
    extractor that was asked for cannot be made."""
    if name != "auto":
        found = check(make_extractor(name, source, device=device), source)
        if found.objection and rank() == 0:
            log.warning("extractor=%s: do not rely on its figures: %s", name, found.objection)
        return found
    tried = [choice for choice in _AUTO if choice in shown_kind(source.spec).extractors]
    *first, last = tried[1:] if quick and tried[0] == "classifier" else tried
    for choice in first:
        try:
            found = check(make_extractor(choice, source, device=device), source)
            if found.objection is None:
                return _told(found)
            reason = found.objection
        except ValueError as error:
            reason = str(error).removeprefix(f"extractor={choice}: ").partition(";")[0]
        if rank() == 0:
            log.info("extractor=auto: not %s: %s", choice, reason)
    return _told(check(make_extractor(last, source, device=device), source))


def _told(found: Checked) -> Checked:
    if rank() == 0 and found.objection:
        log.warning("extractor=auto: %s; do not rely on its figures: %s", found, found.objection)
    elif rank() == 0 and found.controls:
        log.info("extractor=auto: %s; controls in order", found)
        log.debug("controls: %s", found.controls)
    return found


def check(extractor: Extractor, source: Source) -> Checked:
    """Check an extractor on the images of `source`; points are what they are."""
    if not shown_kind(source.spec).levels:
        return Checked(extractor)
    held_out, trained_on = (count_images(source, split) for split in ("validation", "train"))
    if min(held_out, trained_on) < FEWEST:
        few = f"{trained_on} training and {held_out} held-out images are too few to check it; {FEWEST} of each would do"
        return Checked(extractor, None, few)
    try:
        controls = measure(extractor, source)
    except (ValueError, RuntimeError) as error:
        return Checked(extractor, None, f"its controls cannot be measured ({' '.join(str(error).split())[:200]})")
    disorder = [f"the controls are out of order: {', '.join(failed)}"] if (failed := controls.failed()) else []
    return Checked(extractor, controls, "; ".join([*extractor.weaknesses(), *disorder]) or None)


def measure(extractor: Extractor, source: Source) -> Controls:
    """What the extractor says of the controls; cached."""
    splits = {split: data_fingerprint(source, split) for split in ("train", "validation")}
    request = {"controls": [1, _BLUR], "data": splits, "extractor": extractor.identity}
    table = cached(request, [], lambda: _measured(extractor, source))
    rankings = (Ranking(*table[name].tolist()) for name in ("frechet_distance", "kernel_distance", "coverage"))
    return Controls(int(table["images"]), *rankings)


def _measured(extractor: Extractor, source: Source) -> dict[str, Tensor]:
    real = torch.cat([extractor(x).cpu() for x in real_images(source, "train")])
    chunks = ([extractor(x).cpu() for x in controls] for controls in _controls(source))
    sets = [torch.cat(parts) for parts in zip(*chunks, strict=True)]
    moments = Moments.of(real)
    figures = {
        "frechet_distance": [frechet_distance(Moments.of(features), moments) for features in sets],
        "kernel_distance": [mmd_squared(features.double(), real.double(), cubic_kernel) for features in sets],
        "coverage": [manifold_metrics(features, real)["coverage"] for features in sets],
    }
    tables = {name: torch.tensor(values, dtype=torch.float64) for name, values in figures.items()}
    return {"images": torch.tensor(len(sets[0])), **tables}


def _controls(source: Source) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Held-out images, blurred copies of them, and uniform noise, in chunks."""
    generator = torch.Generator().manual_seed(0)
    for x in real_images(source, "validation"):
        sigma = max(1.0, _BLUR * min(x.shape[-2:]))
        blurred = gaussian_filter(x.numpy(), (0, 0, sigma, sigma), mode="nearest")
        yield x, torch.from_numpy(blurred), torch.rand(x.shape, generator=generator)
