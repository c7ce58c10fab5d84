"""What `genlab.metrics.catalogue` says of a metric. Imports nothing slow."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Direction = Literal["min", "max"] | None
"""Whether lower or higher values are better; None if neither."""


@dataclass(frozen=True)
class Metric:
    """One metric, or several that are computed together.

    directions: of each value it may return, by name. needs: required capabilities of the model. fields: fields that
    a batch must hold besides images. draws: whether it depends on the seed. extractor: whether it compares
    features; classes: whether the extractor must be a classifier. least_samples, least_real: minimum number of
    samples and of real images; covariance: whether both must also exceed the number of features. own_data: whether
    it is about the data that the run was trained on. kinds: of data that it is of; () for all. modes, channels: whether
    the dataset must know its modes, or what its channels are images of. palette, sound: whether one of its fields must
    be label maps, or sound. topic: heading
    under which its values are shown, its own name if empty; of_diversity: those under "diversity" instead. units: of
    values that have one.
    """

    group: Literal["samples", "data", "translation"]
    summary: str
    directions: dict[str, Direction]
    needs: tuple[str, ...]
    fields: tuple[str, ...] = ()
    draws: bool = False
    extractor: bool = False
    classes: bool = False
    least_samples: int = 0
    least_real: int = 0
    covariance: bool = False
    own_data: bool = False
    asked: bool = False
    kinds: tuple[str, ...] = ()
    modes: bool = False
    channels: bool = False
    palette: bool = False
    sound: bool = False
    topic: str = ""
    of_diversity: tuple[str, ...] = ()
    units: Mapping[str, str] = field(default_factory=dict)

    def varies(self, noisy: tuple[str, ...]) -> bool:
        """Whether it depends on the seed, of a model whose capabilities `noisy` draw noise."""
        return self.draws or not set(self.needs).isdisjoint(noisy)


def of_samples(summary: str, directions: dict[str, Direction], **more: Any) -> Metric:
    """A metric of samples; compares features unless `more` overrides that."""
    settings: dict[str, Any] = {"draws": True, "extractor": True, "least_samples": 2, "least_real": 2, **more}
    return Metric("samples", summary, directions, ("sample",), **{"topic": "sample quality", **settings})


def likelihood(summary: str, need: str, *values: str) -> Metric:
    """Values in nats, and bits_per_dim; bounds are estimated by draws."""
    directions: dict[str, Direction] = {**dict.fromkeys(values, "max"), "bits_per_dim": "min"}
    settings: dict[str, Any] = {"draws": need != "log_prob", "topic": "likelihood"}
    units = {**dict.fromkeys(values, "nats"), "bits_per_dim": "bits/dim"}
    return Metric("data", f"{summary}, bits per dimension", directions, (need,), units=units, **settings)


def of_domains(**directions: Direction) -> dict[str, Direction]:
    """Values for each source of a translation."""
    return {f"{name}/{domain}": direction for name, direction in directions.items() for domain in ("a", "b")}
