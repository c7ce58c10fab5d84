"""Contrast of patches: what stands at one place of an image and of its translation belongs together.

Reference: Park, Efros, Zhang, Zhu 2020, Contrastive Learning for Unpaired Image-to-Image Translation,
https://arxiv.org/abs/2007.15651 (PatchNCE)
"""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize


def patch_contrast(queries: Tensor, keys: Tensor, temperature: float = 0.07) -> Tensor:
    """-log softmax of the similarity of each query to its own key among the keys of the same image, mean; a scalar.

    queries, keys: [N, S, D], features of S places of N images, of any length; no gradient goes to the keys.
    """
    with torch.autocast(queries.device.type, enabled=False):  # the temperature makes small differences large
        similarity = normalize(queries, dim=2) @ normalize(keys.detach(), dim=2).transpose(1, 2) / temperature
    own = torch.arange(keys.shape[1], device=keys.device).expand(len(keys), -1)
    return cross_entropy(similarity.flatten(0, 1), own.flatten())
