"""The plain loop of each workload: PyTorch by hand with every lever that helps on a CPU, and nothing of GenLab.

This is the rival that GenLab's shared loop is held against, so a loop here is as fast as we know how to write it:
images as bytes in memory and one gather a batch, fused Adam, losses on logits, nothing fetched from a step, real
and generated images judged in one pass where no layer mixes them, a frozen discriminator in the generator's turn.
It reports nothing, previews nothing and saves nothing.
"""

import ctypes
import random
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Step = Callable[[], None]


MEMORY_FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


@dataclass(frozen=True)
class Settings:
    """The machine's side, by the names of GenLab's keys under `device`."""

    precision: str = "fp32"
    memory_format: str = "contiguous"
    keep_memory: bool = False

    def apply(self, threads: int) -> None:
        """What holds for the whole process."""
        torch.set_num_threads(threads)
        products = "bf16" if self.precision == "fast-fp32" else "ieee"
        torch.backends.mkldnn.matmul.fp32_precision = products
        torch.backends.mkldnn.conv.fp32_precision = products
        if self.keep_memory:
            keep_freed_memory()

    def autocast(self) -> torch.autocast | nullcontext:
        return torch.autocast("cpu", torch.bfloat16) if self.precision == "bf16" else nullcontext()

    def lay_out(self, network: nn.Module) -> nn.Module:
        """With its convolutions in this memory format."""
        return network.to(memory_format=MEMORY_FORMATS[self.memory_format])


def keep_freed_memory() -> None:
    """Let glibc keep what a step frees for the next step: pages that it returns are zeroed and mapped anew."""
    trim_threshold, top_pad, mmap_max = -1, -2, -4
    libc = ctypes.CDLL(None)
    for option, value in ((mmap_max, 0), (trim_threshold, 2**31 - 1), (top_pad, 2**28)):
        libc.mallopt(option, value)


def mnist(raw: Path, size: int) -> tuple[Tensor, Tensor]:
    """Training images uint8 [60000, 1, size, size] and labels int64 [60000] from a folder of idx files."""
    images = _idx(raw / "train-images-idx3-ubyte").unsqueeze(1)
    if size != images.shape[-1]:
        # In parts: floats of all images at once would be the peak of the whole run.
        images = torch.cat([_resized(part, size) for part in images.split(4096)])
    return images, _idx(raw / "train-labels-idx1-ubyte").long()


def _idx(path: Path) -> Tensor:
    data = bytearray(path.read_bytes())
    dimensions = data[3]
    shape = struct.unpack_from(f">{dimensions}I", data, 4)
    return torch.frombuffer(data, dtype=torch.uint8, offset=4 + 4 * dimensions).reshape(shape)


def _resized(images: Tensor, size: int) -> Tensor:
    smooth = F.interpolate(images.float(), (size, size), mode="bilinear", antialias=True)
    return smooth.round_().clamp_(0, 255).to(torch.uint8)


def batches(images: Tensor, labels: Tensor, batch_size: int, settings: Settings) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless shuffled batches: images float [N, C, H, W] in [0, 1], and labels."""
    memory_format = MEMORY_FORMATS[settings.memory_format]
    while True:
        for rows in torch.randperm(len(images)).split(batch_size):
            if len(rows) == batch_size:
                chosen = images.index_select(0, rows).to(torch.float32, memory_format=memory_format)
                yield chosen.mul_(1 / 255), labels.index_select(0, rows)


def adam(parameters: Iterable[nn.Parameter], lr: float, beta1: float = 0.9) -> torch.optim.Adam:
    return torch.optim.Adam(parameters, lr=lr, betas=(beta1, 0.999), fused=True)


def vae(networks: tuple[nn.Module, nn.Module], data: Iterator[tuple[Tensor, Tensor]], settings: Settings) -> Step:
    """-ELBO with a Bernoulli likelihood, a step of Adam at 1e-3."""
    encoder, decoder = map(settings.lay_out, networks)
    optimizer = adam(chain(encoder.parameters(), decoder.parameters()), lr=1e-3)

    def step() -> None:
        x, _ = next(data)
        with settings.autocast():
            mu, log_var = encoder(x).float().chunk(2, 1)
            logits = decoder(mu + (log_var / 2).exp() * torch.randn_like(mu)).float()
            reconstruction = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
            kl = (mu.square() + log_var.exp() - log_var - 1).sum() / 2
            loss = (reconstruction + kl) / len(x)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def cross_entropy(logits: Tensor, target: float) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


def least_squares(outputs: Tensor, target: float) -> Tensor:
    return (outputs - target).square().mean()


def gan(
    networks: tuple[nn.Module, nn.Module],
    data: Iterator[tuple[Tensor, Tensor]],
    settings: Settings,
    distance: Callable[[Tensor, float], Tensor],
    conditional: bool = False,
) -> Step:
    """The discriminator's step, then the generator's on the same painting, each of Adam at 2e-4."""
    generator, discriminator = map(settings.lay_out, networks)
    painter = adam(generator.parameters(), lr=2e-4, beta1=0.5)
    judge = adam(discriminator.parameters(), lr=2e-4, beta1=0.5)
    mixes = any(isinstance(layer, nn.BatchNorm2d) for layer in discriminator.modules())

    def judged(x: Tensor, condition: Tensor | None) -> Tensor:
        return discriminator(x if condition is None else torch.cat([x.flatten(1), condition], 1)).float()

    def step() -> None:
        x, label = next(data)
        x = x.mul_(2).sub_(1)
        z = torch.randn(len(x), 100)
        condition = F.one_hot(label, 10).float() if conditional else None
        with settings.autocast():
            fake = generator(z if condition is None else torch.cat([z, condition], 1))
            if mixes:
                on_real, on_fake = judged(x, condition), judged(fake.detach(), condition)
            else:
                both = condition if condition is None else condition.repeat(2, 1)
                on_real, on_fake = judged(torch.cat([x, fake.detach().float()]), both).chunk(2)
            loss = (distance(on_real, 1.0) + distance(on_fake, 0.0)) / 2
        loss.backward()
        judge.step()
        judge.zero_grad()

        discriminator.requires_grad_(False)
        with settings.autocast():
            loss = distance(judged(fake, condition), 1.0)
        loss.backward()
        painter.step()
        painter.zero_grad()
        discriminator.requires_grad_(True)

    return step


def told(label: Tensor) -> Tensor:
    """A class and that there is one, [N, 11]; a tenth of the rows is told nothing."""
    features = torch.cat([F.one_hot(label, 10), torch.ones(len(label), 1)], 1)
    return features * (torch.rand(len(label), 1) >= 0.1)


def flow_matching(networks: tuple[nn.Module, ...], data: Iterator[tuple[Tensor, Tensor]], settings: Settings) -> Step:
    """Velocity of straight paths from images to noise at logit-normal times, a step of Adam at 2e-3."""
    network = settings.lay_out(networks[0])
    optimizer = adam(network.parameters(), lr=2e-3)

    def step() -> None:
        x, label = next(data)
        x = x.mul_(2).sub_(1)
        eps, t = torch.randn_like(x), torch.randn(len(x)).sigmoid_()
        x_t = torch.lerp(x, eps, t[:, None, None, None])
        with settings.autocast():
            predicted = network(x_t, t, told(label)).float()
        F.mse_loss(predicted, eps.sub_(x)).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


class Pool:
    """Up to 50 earlier translations, one of which is shown in every second call on average."""

    def __init__(self):
        self.images: list[Tensor] = []

    def exchange(self, image: Tensor) -> Tensor:
        if len(self.images) < 50:
            self.images.append(image)
            return image
        if random.random() < 0.5:
            return image
        slot = random.randrange(50)
        shown, self.images[slot] = self.images[slot], image
        return shown


def cyclegan(
    networks: tuple[nn.Module, nn.Module],
    data_a: Iterator[tuple[Tensor, Tensor]],
    data_b: Iterator[tuple[Tensor, Tensor]],
    settings: Settings,
) -> Step:
    """Both generators' step (least squares, cycle 10, identity 5), then both discriminators', each of Adam at 2e-4."""
    generators, discriminators = map(settings.lay_out, networks)
    painter = adam(generators.parameters(), lr=2e-4, beta1=0.5)
    judge = adam(discriminators.parameters(), lr=2e-4, beta1=0.5)
    pools = {"a": Pool(), "b": Pool()}

    def step() -> None:
        (a, _), (b, _) = next(data_a), next(data_b)
        a, b = a.mul_(2).sub_(1), b.mul_(2).sub_(1)

        discriminators.requires_grad_(False)
        with settings.autocast():
            fake_b, identity_b = generators["b"](torch.cat([a, b])).chunk(2)
            fake_a, identity_a = generators["a"](torch.cat([b, a])).chunk(2)
            cycle = F.l1_loss(generators["a"](fake_b).float(), a) + F.l1_loss(generators["b"](fake_a).float(), b)
            identity = F.l1_loss(identity_a.float(), a) + F.l1_loss(identity_b.float(), b)
            on_a, on_b = discriminators["a"](fake_a).float(), discriminators["b"](fake_b).float()
            loss = least_squares(on_a, 1.0) + least_squares(on_b, 1.0) + 10 * cycle + 5 * identity
        loss.backward()
        painter.step()
        painter.zero_grad()
        discriminators.requires_grad_(True)

        for domain, real, fake in (("a", a, fake_a), ("b", b, fake_b)):
            shown = pools[domain].exchange(fake.detach().float())
            with settings.autocast():
                on_real, on_fake = discriminators[domain](torch.cat([real, shown])).float().chunk(2)
                loss = (least_squares(on_real, 1.0) + least_squares(on_fake, 0.0)) / 2
            loss.backward()
        judge.step()
        judge.zero_grad()

    return step
