"""CUT: translation from one domain of unpaired images to another, by one generator and the contrast of patches.

Nothing has to lead back. Instead, the generator's own features of a patch must tell the patch of the translation at the
same place from others of the image: shapes stay, their look follows the discriminator.

Reference: Park, Efros, Zhang, Zhu 2020, Contrastive Learning for Unpaired Image-to-Image Translation,
https://arxiv.org/abs/2007.15651
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from genlab.contract.data import Batch, DataSpec
from genlab.contract.model import Update
from genlab.losses.contrastive import patch_contrast
from genlab.models.unpaired import UnpairedTranslator, discriminator_loss_of_patches, generator_loss_of_patches
from genlab.networks.diff_augment import augmented, check_augmentations
from genlab.networks.layers import check_least, initialize_all
from genlab.networks.network import Network
from genlab.networks.patchgan import PatchDiscriminator
from genlab.networks.resnet import ResidualBlock, ResNetGenerator

_FEATURES = 256
"""Of a patch, after its head."""


class CUT(UnpairedTranslator):
    """G: a -> b against D(b). Images are in [-1, 1] internally.

    network: the generator is its translator, `network=resnet`.
    discriminator_width, discriminator_layers, augment: as of `CycleGAN`.
    contrast_weight: weight of the contrast of patches of a and G(a), relative to the adversarial term; 1 as in the
        paper, whose code takes half of it.
    identity_weight: the same of b and G(b), which should not change; 0 for none, which is a third faster.
    patches: places of an image that are contrasted, in each layer.
    """

    averaged = ("generator",)
    targets = ("b",)

    def __init__(
        self,
        data: DataSpec,
        *,
        network: Network,
        discriminator_width: int = 32,
        discriminator_layers: int | None = None,
        contrast_weight: float = 1.0,
        identity_weight: float = 1.0,
        patches: int = 256,
        augment: Sequence[str] = (),
    ):
        super().__init__(data)
        check_least(0, contrast_weight=contrast_weight, identity_weight=identity_weight)
        check_least(1, discriminator_width=discriminator_width)
        check_least(2, patches=patches)
        self.contrast_weight, self.identity_weight, self.patches = contrast_weight, identity_weight, patches
        self.augment = check_augmentations(augment)
        a, b = data["a"].shape, data["b"].shape
        if a != b:
            raise ValueError(
                f"model=cut: needs a and b of one shape, and these are {list(a)} and {list(b)}; give one dataset.size "
                "and dataset.channels"
            )
        generator = network.translator(a, b)
        if not isinstance(generator, ResNetGenerator):
            raise ValueError(f"network={network.name}: CUT reads features of a residual network; choose network=resnet")
        self.generator: ResNetGenerator = generator
        self.discriminator = PatchDiscriminator(b, discriminator_width, discriminator_layers)
        # Besides the input: both reductions, the first and the middle one of the residual blocks.
        reductions = [i for i, layer in enumerate(generator.body) if getattr(layer, "stride", None) == (2, 2)][:2]
        blocks = [i for i, layer in enumerate(generator.body) if isinstance(layer, ResidualBlock)]
        self.read = sorted({*reductions, *blocks[:1], *blocks[len(blocks) // 2 :][:1]})
        with torch.no_grad():
            widths = [features.shape[1] for features in self._features(torch.zeros(1, *a))[0]]
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(width, _FEATURES), nn.ReLU(), nn.Linear(_FEATURES, _FEATURES)) for width in widths
        )
        initialize_all(self)

    def players(self) -> dict[str, nn.Module]:
        return {"generator": nn.ModuleList([self.generator, self.heads]), "discriminator": self.discriminator}

    def _features(self, x: Tensor, layers: int | None = None) -> tuple[list[Tensor], Tensor]:
        """What the first `layers` of the generator, or all, make of images on their way, [N, C_l, h_l, w_l] for each
        layer l that is read, and at their end."""
        found = [x]
        for number, layer in enumerate(self.generator.body[:layers]):
            x = layer(x)
            if number in self.read:
                found.append(x)
        return found, x

    def training_step(self, batch: Batch, step: int) -> Iterator[Update]:
        a, b = 2 * batch["a"] - 1, 2 * batch["b"] - 1
        given = torch.cat([a, b]) if self.identity_weight else a
        features, made = self._features(given)
        made = made.to(given.dtype).tanh()
        fake = made[: len(a)]

        adversarial = generator_loss_of_patches(self.discriminator, augmented(fake, self.augment, batch))
        contrast = self._contrasts(features, made, batch)
        loss = adversarial + self.contrast_weight * contrast[0]
        log = {"generator_loss": adversarial, "contrast": contrast[0]}
        if self.identity_weight:
            loss = loss + self.identity_weight * contrast[1]
            log["identity"] = contrast[1]
        yield Update("generator", loss, log)

        seen = (augmented(x, self.augment, batch) for x in (b, fake.detach()))
        loss, correct = discriminator_loss_of_patches(self.discriminator, *seen)
        yield Update("discriminator", loss, {"discriminator_loss": loss, "accuracy": correct})

    def _contrasts(self, features: list[Tensor], made: Tensor, batch: Batch) -> list[Tensor]:
        """Mean contrast over the layers that are read, of images, given by their features, and their translations: of a
        and, if it is there, b. The places are drawn by the batch, and the same for both."""
        parts = len(made) // batch.size
        found = torch.zeros(parts, dtype=made.dtype, device=made.device)
        seen, _ = self._features(made, self.read[-1] + 1)
        for head, queries, keys in zip(self.heads, seen, features, strict=True):
            places = batch.rand(keys[0, 0].numel()).argsort(1)[:, : self.patches].repeat(parts, 1)
            # Queries first: autocast would keep weights that were cast without gradients.
            queries = head(_at(queries, places)).to(made.dtype)
            with torch.no_grad():  # no gradient goes to the keys
                keys = head(_at(keys, places)).to(made.dtype)
            both = zip(queries.split(batch.size), keys.split(batch.size), strict=True)
            found = found + torch.stack([patch_contrast(*pair) for pair in both])
        return list(found / len(self.heads))

    def generate(self, x: Tensor, to: str) -> Tensor:
        return self.generator(x).to(x.dtype).tanh()


def _at(features: Tensor, places: Tensor) -> Tensor:
    """Features [N, C, h, w] at places [N, S] of the h * w: [N, S, C]."""
    flat = features.flatten(2).transpose(1, 2)
    return flat.gather(1, places[:, :, None].expand(-1, -1, flat.shape[2]))
