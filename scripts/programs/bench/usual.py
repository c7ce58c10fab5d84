"""The usual script of each workload: the same networks trained as tutorials do it, in fp32.

A torchvision dataset whose images pass through transforms one by one, a DataLoader, Adam as it comes, losses on
probabilities, real and generated images one after the other, `.item()` of every loss at every step.
"""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from bench.plain import Pool, Settings, Step, told
from bench.workloads import TRANSLATED, WORKLOADS
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision import datasets, transforms


def script(name: str, root: Path, workers: int) -> Step:
    """A step of the workload `name` on the sets that torchvision finds in `root`, loaded by so many workers."""
    workload = WORKLOADS[name]
    players: Any = workload.players(Settings())

    def loader(dataset: Dataset) -> Iterator:
        ways = {"shuffle": True, "drop_last": True, "num_workers": workers, "persistent_workers": workers > 0}
        loading = DataLoader(dataset, workload.batch_size, **ways)
        while True:
            yield from loading

    resize = [transforms.Resize(workload.size)] if workload.size != 28 else []
    between_0_and_1 = transforms.Compose([*resize, transforms.ToTensor()])
    around_0 = transforms.Compose([*resize, transforms.ToTensor(), transforms.Normalize([0.5], [0.5])])
    if name.startswith("cyclegan"):
        return _cyclegan(*players, *(loader(RandomImages(workload.size, around_0)) for _ in range(2)))
    if name in ("vae_mlp", "burgess"):
        return _vae(*players, loader(datasets.MNIST(root, transform=between_0_and_1)))
    data = loader(datasets.MNIST(root, transform=around_0))
    steps: Any = {"cgan": _conditional_gan, "unet": _flow_matching}
    return steps.get(name, _gan)(*players, data)


class RandomImages(Dataset):
    """RGB images of noise in memory: reading and decoding files, which scripts do as well, is not counted."""

    def __init__(self, size: int, transform: transforms.Compose):
        noise = torch.randint(256, (TRANSLATED, size, size, 3), dtype=torch.uint8)
        self.images, self.transform = [Image.fromarray(image.numpy()) for image in noise], transform

    def __len__(self) -> int:
        return TRANSLATED

    def __getitem__(self, index: int) -> Tensor:
        return self.transform(self.images[index])


def _vae(encoder: nn.Module, decoder: nn.Module, data: Iterator) -> Step:
    optimizer = torch.optim.Adam(chain(encoder.parameters(), decoder.parameters()), lr=1e-3)

    def step() -> None:
        x, _ = next(data)
        optimizer.zero_grad()
        mu, log_var = encoder(x).chunk(2, 1)
        std = torch.exp(0.5 * log_var)
        reconstruction = torch.sigmoid(decoder(mu + torch.randn_like(std) * std))
        cross_entropy = F.binary_cross_entropy(reconstruction, x, reduction="sum")
        kl = -0.5 * torch.sum(1 + log_var - mu.pow(2) - log_var.exp())
        loss = cross_entropy + kl
        loss.backward()
        loss.item()
        optimizer.step()

    return step


def _gan(generator: nn.Module, discriminator: nn.Module, data: Iterator) -> Step:
    criterion = nn.BCELoss()
    optimizer_d, optimizer_g = (
        torch.optim.Adam(player.parameters(), lr=2e-4, betas=(0.5, 0.999)) for player in (discriminator, generator)
    )

    def step() -> None:
        x, _ = next(data)
        real, generated = torch.ones(len(x), 1), torch.zeros(len(x), 1)

        discriminator.zero_grad()
        loss_real = criterion(torch.sigmoid(discriminator(x)), real)
        loss_real.backward()
        fake = generator(torch.randn(len(x), 100))
        loss_fake = criterion(torch.sigmoid(discriminator(fake.detach())), generated)
        loss_fake.backward()
        optimizer_d.step()

        generator.zero_grad()
        loss_g = criterion(torch.sigmoid(discriminator(fake)), real)
        loss_g.backward()
        optimizer_g.step()
        _ = (loss_real + loss_fake).item(), loss_g.item()

    return step


def _flow_matching(network: nn.Module, data: Iterator) -> Step:
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)

    def step() -> None:
        x, label = next(data)
        optimizer.zero_grad()
        eps, t = torch.randn_like(x), torch.sigmoid(torch.randn(len(x)))
        x_t = (1 - t.view(-1, 1, 1, 1)) * x + t.view(-1, 1, 1, 1) * eps
        loss = F.mse_loss(network(x_t, t, told(label)), eps - x)
        loss.backward()
        loss.item()
        optimizer.step()

    return step


def _conditional_gan(generator: nn.Module, discriminator: nn.Module, data: Iterator) -> Step:
    criterion = nn.MSELoss()
    optimizer_d, optimizer_g = (
        torch.optim.Adam(player.parameters(), lr=2e-4, betas=(0.5, 0.999)) for player in (discriminator, generator)
    )

    def judge(x: Tensor, condition: Tensor) -> Tensor:
        return discriminator(torch.cat([x.flatten(1), condition], 1))

    def step() -> None:
        x, label = next(data)
        real, generated = torch.ones(len(x), 1), torch.zeros(len(x), 1)
        condition = F.one_hot(label, 10).float()

        optimizer_g.zero_grad()
        fake = generator(torch.cat([torch.randn(len(x), 100), condition], 1))
        loss_g = criterion(judge(fake, condition), real)
        loss_g.backward()
        optimizer_g.step()

        optimizer_d.zero_grad()
        loss_real = criterion(judge(x, condition), real)
        loss_fake = criterion(judge(fake.detach(), condition), generated)
        loss_d = (loss_real + loss_fake) / 2
        loss_d.backward()
        optimizer_d.step()
        _ = loss_d.item(), loss_g.item()

    return step


def _cyclegan(generators: nn.Module, discriminators: nn.Module, data_a: Iterator, data_b: Iterator) -> Step:
    adversarial, cycle, identity = nn.MSELoss(), nn.L1Loss(), nn.L1Loss()
    optimizer_g, optimizer_d = (
        torch.optim.Adam(players.parameters(), lr=2e-4, betas=(0.5, 0.999)) for players in (generators, discriminators)
    )
    pools = {"a": Pool(), "b": Pool()}

    def against(outputs: Tensor, target: float) -> Tensor:
        return adversarial(outputs, torch.full_like(outputs, target))

    def step() -> None:
        real = {"a": next(data_a), "b": next(data_b)}
        fake = {"a": generators["a"](real["b"]), "b": generators["b"](real["a"])}

        discriminators.requires_grad_(False)
        optimizer_g.zero_grad()
        loss_g = sum(
            against(discriminators[domain](fake[domain]), 1.0)
            + 10 * cycle(generators[domain](fake[other]), real[domain])
            + 5 * identity(generators[domain](real[domain]), real[domain])
            for domain, other in (("a", "b"), ("b", "a"))
        )
        loss_g.backward()
        optimizer_g.step()

        discriminators.requires_grad_(True)
        optimizer_d.zero_grad()
        for domain in ("a", "b"):
            shown = pools[domain].exchange(fake[domain].detach())
            on_real, on_fake = discriminators[domain](real[domain]), discriminators[domain](shown)
            loss_d = (against(on_real, 1.0) + against(on_fake, 0.0)) / 2
            loss_d.backward()
            loss_d.item()
        optimizer_d.step()
        loss_g.item()

    return step
