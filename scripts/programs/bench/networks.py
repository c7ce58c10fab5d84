"""The networks of the workloads, written out layer by layer in torch.nn: none of GenLab's.

Generators paint in [-1, 1] (tanh last), discriminators and decoders end in logits. Labels come as one-hot vectors.
"""

import torch
from torch import Tensor, nn


class Maps(nn.Module):
    """[N, C * H * W] to [N, C, H, W], in the memory format of the convolutions that follow."""

    def __init__(self, *shape: int, memory_format: torch.memory_format):
        super().__init__()
        self.shape, self.memory_format = shape, memory_format

    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(1, self.shape).contiguous(memory_format=self.memory_format)


class Residual(nn.Sequential):
    """x + F(x)."""

    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)


def initialised(network: nn.Module) -> nn.Module:
    """Convolutions drawn from N(0, 0.02^2), as in DCGAN and CycleGAN."""
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(layer.weight, std=0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return network


def mlp_vae() -> tuple[nn.Module, nn.Module]:
    """784-400-20 of Kingma and Welling 2014; the encoder gives mu and log_var side by side."""
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(784, 400), nn.ReLU(), nn.Linear(400, 40))
    decoder = nn.Sequential(nn.Linear(20, 400), nn.ReLU(), nn.Linear(400, 784), nn.Unflatten(1, (1, 28, 28)))
    return encoder, decoder


def burgess_vae(memory_format: torch.memory_format) -> tuple[nn.Module, nn.Module]:
    """The convolutional networks of Burgess et al. 2018 (https://arxiv.org/abs/1804.03599) for 32x32."""
    encoder = nn.Sequential(
        *(nn.Conv2d(1, 32, 4, 2, 1), nn.ReLU()),
        *(nn.Conv2d(32, 32, 4, 2, 1), nn.ReLU()),
        *(nn.Conv2d(32, 32, 4, 2, 1), nn.ReLU(), nn.Flatten()),
        *(nn.Linear(512, 256), nn.ReLU()),
        *(nn.Linear(256, 256), nn.ReLU()),
        nn.Linear(256, 20),
    )
    decoder = nn.Sequential(
        *(nn.Linear(10, 256), nn.ReLU()),
        *(nn.Linear(256, 256), nn.ReLU()),
        *(nn.Linear(256, 512), nn.ReLU(), Maps(32, 4, 4, memory_format=memory_format)),
        *(nn.ConvTranspose2d(32, 32, 4, 2, 1), nn.ReLU()),
        *(nn.ConvTranspose2d(32, 32, 4, 2, 1), nn.ReLU()),
        nn.ConvTranspose2d(32, 1, 4, 2, 1),
    )
    return encoder, decoder


def mlp_gan() -> tuple[nn.Module, nn.Module]:
    """Generator of [z, y] (100 + 10) and discriminator of [x, y] (1024 + 10), fully connected, for 32x32."""

    def normalized(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
        return nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.LeakyReLU(0.2, inplace=True)

    generator = nn.Sequential(
        *(nn.Linear(110, 128), nn.LeakyReLU(0.2, inplace=True)),
        *normalized(128, 256),
        *normalized(256, 512),
        *normalized(512, 1024),
        *(nn.Linear(1024, 1024), nn.Tanh(), nn.Unflatten(1, (1, 32, 32))),
    )
    discriminator = nn.Sequential(
        *(nn.Linear(1034, 512), nn.LeakyReLU(0.2, inplace=True)),
        *(nn.Linear(512, 512), nn.Dropout(0.4), nn.LeakyReLU(0.2, inplace=True)),
        *(nn.Linear(512, 512), nn.Dropout(0.4), nn.LeakyReLU(0.2, inplace=True)),
        nn.Linear(512, 1),
    )
    return generator, discriminator


def dcgan32(memory_format: torch.memory_format) -> tuple[nn.Module, nn.Module]:
    """Generator by nearest upsampling and 3x3 convolutions, discriminator by strided ones, for 32x32."""

    def painted(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
        convolution = nn.Conv2d(inputs, outputs, 3, 1, 1)
        return nn.Upsample(scale_factor=2), convolution, nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2, inplace=True)

    def judged(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
        return nn.Conv2d(inputs, outputs, 3, 2, 1), nn.LeakyReLU(0.2, inplace=True), nn.Dropout2d(0.25)

    generator = nn.Sequential(
        *(nn.Linear(100, 128 * 8 * 8), Maps(128, 8, 8, memory_format=memory_format), nn.BatchNorm2d(128)),
        *painted(128, 128),
        *painted(128, 64),
        *(nn.Conv2d(64, 1, 3, 1, 1), nn.Tanh()),
    )
    discriminator = nn.Sequential(
        *judged(1, 16),
        *(*judged(16, 32), nn.BatchNorm2d(32)),
        *(*judged(32, 64), nn.BatchNorm2d(64)),
        *(*judged(64, 128), nn.BatchNorm2d(128)),
        *(nn.Flatten(), nn.Linear(512, 1)),
    )
    return initialised(generator), initialised(discriminator)


def dcgan64(memory_format: torch.memory_format) -> tuple[nn.Module, nn.Module]:
    """Radford, Metz, Chintala 2016 (https://arxiv.org/abs/1511.06434) with 64 maps next to the image."""

    def painted(inputs: int, outputs: int, stride: int, padding: int) -> tuple[nn.Module, ...]:
        convolution = nn.ConvTranspose2d(inputs, outputs, 4, stride, padding, bias=False)
        return convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)

    def judged(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
        convolution = nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False)
        return convolution, nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2, inplace=True)

    generator = nn.Sequential(
        Maps(100, 1, 1, memory_format=memory_format),
        *painted(100, 512, 1, 0),
        *painted(512, 256, 2, 1),
        *painted(256, 128, 2, 1),
        *painted(128, 64, 2, 1),
        *(nn.ConvTranspose2d(64, 1, 4, 2, 1, bias=False), nn.Tanh()),
    )
    discriminator = nn.Sequential(
        *(nn.Conv2d(1, 64, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True)),
        *judged(64, 128),
        *judged(128, 256),
        *judged(256, 512),
        *(nn.Conv2d(512, 1, 4, 1, 0, bias=False), nn.Flatten()),
    )
    return initialised(generator), initialised(discriminator)


def resnet_generator(blocks: int = 6) -> nn.Module:
    """Zhu et al. 2017 (https://arxiv.org/abs/1703.10593), RGB to RGB."""

    def normalized(convolution: nn.Module) -> tuple[nn.Module, ...]:
        return convolution, nn.InstanceNorm2d(convolution.out_channels), nn.ReLU(inplace=True)

    def block() -> nn.Module:
        first, second = (nn.Conv2d(256, 256, 3) for _ in range(2))
        return Residual(
            *(nn.ReflectionPad2d(1), *normalized(first)),
            *(nn.ReflectionPad2d(1), second, nn.InstanceNorm2d(256)),
        )

    return initialised(
        nn.Sequential(
            *(nn.ReflectionPad2d(3), *normalized(nn.Conv2d(3, 64, 7))),
            *normalized(nn.Conv2d(64, 128, 3, 2, 1)),
            *normalized(nn.Conv2d(128, 256, 3, 2, 1)),
            *(block() for _ in range(blocks)),
            *normalized(nn.ConvTranspose2d(256, 128, 3, 2, 1, output_padding=1)),
            *normalized(nn.ConvTranspose2d(128, 64, 3, 2, 1, output_padding=1)),
            *(nn.ReflectionPad2d(3), nn.Conv2d(64, 3, 7), nn.Tanh()),
        )
    )


def patch_discriminator() -> nn.Module:
    """Judgements of 70x70 patches (Isola et al. 2017, https://arxiv.org/abs/1611.07004)."""

    def judged(inputs: int, outputs: int, stride: int) -> tuple[nn.Module, ...]:
        convolution = nn.Conv2d(inputs, outputs, 4, stride, 1)
        return convolution, nn.InstanceNorm2d(outputs), nn.LeakyReLU(0.2, inplace=True)

    return initialised(
        nn.Sequential(
            *(nn.Conv2d(3, 64, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True)),
            *judged(64, 128, 2),
            *judged(128, 256, 2),
            *judged(256, 512, 1),
            nn.Conv2d(512, 1, 4, 1, 1),
        )
    )


def cyclegan() -> tuple[nn.Module, nn.Module]:
    """Generators and discriminators, each by the domain that they paint or judge."""
    generators = nn.ModuleDict({domain: resnet_generator() for domain in ("a", "b")})
    return generators, nn.ModuleDict({domain: patch_discriminator() for domain in ("a", "b")})
