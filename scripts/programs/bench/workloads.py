"""The workloads: an experiment of GenLab's, and the same networks, data, batch and optimizer by hand."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from bench import networks, plain
from bench.plain import MEMORY_FORMATS, Settings, Step
from torch import nn

from genlab.networks.denoising_unet import Denoising

TRANSLATED = 64
"""Images of each domain of a CycleGAN's data."""


@dataclass(frozen=True)
class Workload:
    """experiment: a file of `configs/experiment`; size: side of the images; networks: how to make them."""

    name: str
    experiment: str
    size: int
    batch_size: int
    networks: Callable[[torch.memory_format], tuple[nn.Module, ...]]

    def players(self, settings: Settings) -> tuple[nn.Module, ...]:
        """Encoder and decoder, generator and discriminator, generators and discriminators, or one network."""
        return self.networks(MEMORY_FORMATS[settings.memory_format])

    def plain_step(self, raw: Path, settings: Settings) -> Step:
        """The plain loop's step, on the idx files of MNIST in `raw`; translation is between random images."""
        players, loader = self.players(settings), (self.batch_size, settings)
        if self.name.startswith("cyclegan"):
            a, b = (torch.randint(256, (TRANSLATED, 3, self.size, self.size), dtype=torch.uint8) for _ in range(2))
            unlabelled = torch.zeros(TRANSLATED, dtype=torch.int64)
            domains = (plain.batches(domain, unlabelled, *loader) for domain in (a, b))
            return plain.cyclegan(players, *domains, settings)
        data = plain.batches(*plain.mnist(raw, self.size), *loader)
        if self.name in ("vae_mlp", "burgess"):
            return plain.vae(players, data, settings)
        if self.name == "unet":
            return plain.flow_matching(players, data, settings)
        if self.name == "cgan":
            return plain.gan(players, data, settings, plain.least_squares, conditional=True)
        return plain.gan(players, data, settings, plain.cross_entropy)


def denoising_unet() -> tuple[nn.Module, ...]:
    """GenLab's own, as the loops are what is compared: of images and eleven features, a class and that there is one."""
    return (Denoising().denoiser((1, 28, 28), 11),)


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("vae_mlp", "bench-vae-mlp", 28, 128, lambda _: networks.mlp_vae()),
        Workload("burgess", "bench-vae-burgess", 32, 64, networks.burgess_vae),
        Workload("cgan", "bench-cgan-mlp", 32, 64, lambda _: networks.mlp_gan()),
        Workload("dcgan32", "bench-dcgan-32", 32, 64, networks.dcgan32),
        Workload("dcgan64", "bench-dcgan-64", 64, 64, networks.dcgan64),
        Workload("unet", "bench-unet", 28, 64, lambda _: denoising_unet()),
        Workload("cyclegan@64", "bench-cyclegan-64", 64, 1, lambda _: networks.cyclegan()),
        Workload("cyclegan@128", "bench-cyclegan-128", 128, 1, lambda _: networks.cyclegan()),
    )
}
