"""Published datasets as torchvision downloads and verifies them: the MNIST family, CIFAR-10, SVHN, CelebA.

Training uses the published training split, validation the published test split (for CelebA the validation split).

References:
    Gradient-based learning applied to document recognition (LeCun, Bottou, Bengio, Haffner, 1998)
    Fashion-MNIST (Xiao, Rasul, Vollgraf, 2017) https://arxiv.org/abs/1708.07747
    Deep Learning for Classical Japanese Literature (Clanuwat et al., 2018) https://arxiv.org/abs/1812.01718
    EMNIST: an extension of MNIST to handwritten letters (Cohen et al., 2017) https://arxiv.org/abs/1702.05373
    Learning Multiple Layers of Features from Tiny Images (Krizhevsky, 2009)
    Reading Digits in Natural Images with Unsupervised Feature Learning (Netzer et al., 2011)
    Deep Learning Face Attributes in the Wild (Liu, Luo, Wang, Tang, 2015) https://arxiv.org/abs/1411.7766
"""

from pathlib import Path
from string import ascii_lowercase, ascii_uppercase, digits

import torch
from torch import Tensor

from genlab.contract.data import image_spec
from genlab.contract.settings import Place
from genlab.data.checks import check_choice, check_range
from genlab.data.images import ImageFiles, image_size
from genlab.data.published import LARGEST_FILE, Archive, LabelledSet, PublishedSet
from genlab.data.source import Examples

_MERGED = digits + ascii_uppercase + "abdefghnqrt"
"""EMNIST's classes where small letters that look like capitals are one class with them."""


class Mnist(LabelledSet):
    """Handwritten digits: 60,000 and 10,000 grey images of 28x28 pixels in ten classes.

    data_dir: holds MNIST/raw.
    size: height and width to resize to once; None keeps 28.
    """

    name = "MNIST"
    native = image_spec((1, 28, 28), 10, digits)
    sizes = {"train": 60_000, "validation": 10_000}
    prefixes = {"train": "train", "validation": "t10k"}  # of file names

    def files(self) -> list[str]:
        kinds = ("images-idx3-ubyte", "labels-idx1-ubyte")
        return [f"{self.name}/raw/{prefix}-{kind}" for prefix in self.prefixes.values() for kind in kinds]

    def read(self, root: Path, split: str) -> tuple[Tensor, Tensor]:
        from torchvision.datasets.mnist import read_image_file, read_label_file

        images, labels = (str(root / file) for file in self.files() if self.prefixes[split] in file)
        return read_image_file(images)[:, None], read_label_file(labels)

    def archives(self) -> list[Archive]:
        mirror = self.torchvision.mirrors[0]
        return [Archive(mirror + file, md5, f"{self.name}/raw/{file}") for file, md5 in self.torchvision.resources]


class FashionMnist(Mnist):
    """Clothes: 60,000 and 10,000 grey images of 28x28 pixels in ten classes; options as `Mnist`."""

    name = "FashionMNIST"
    native = image_spec(
        (1, 28, 28),
        10,
        ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    )


class Kmnist(Mnist):
    """Cursive Japanese characters: 60,000 and 10,000 grey images of 28x28 pixels in ten classes; as `Mnist`."""

    name = "KMNIST"
    native = image_spec((1, 28, 28), 10, ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"))


class Emnist(Mnist):
    """Handwritten letters and digits, grey, 28x28 pixels.

    part: the published variant: byclass (62 classes), bymerge, balanced (47), letters (26), digits,
        mnist (10).
    data_dir: holds EMNIST/raw.
    size: height and width to resize to once; None keeps 28.
    """

    name = "EMNIST"
    parts = {  # classes, training images, test images
        "byclass": (digits + ascii_uppercase + ascii_lowercase, 697_932, 116_323),
        "bymerge": (_MERGED, 697_932, 116_323),
        "balanced": (_MERGED, 112_800, 18_800),
        "letters": (ascii_lowercase, 124_800, 20_800),
        "digits": (digits, 240_000, 40_000),
        "mnist": (digits, 60_000, 10_000),
    }

    def __init__(self, *, data_dir: Place, part: str = "balanced", size: int | None = None):
        check_choice("part", part, tuple(self.parts))
        classes, train, validation = self.parts[part]
        self.part, self.native = part, image_spec((1, 28, 28), len(classes), classes)
        self.sizes = {"train": train, "validation": validation}
        self.prefixes = {"train": f"emnist-{part}-train", "validation": f"emnist-{part}-test"}
        super().__init__(data_dir=data_dir, size=size)

    def archives(self) -> list[Archive]:
        return [Archive(self.torchvision.url, self.torchvision.md5, f"{self.name}/raw/gzip.zip")]

    def fetch(self, root: str) -> None:
        self.torchvision(root, split=self.part, download=True)

    def read(self, root: Path, split: str) -> tuple[Tensor, Tensor]:
        images, labels = super().read(root, split)
        # In the published files, images are transposed and letters are numbered from 1.
        return images.transpose(-1, -2).contiguous(), labels - int(self.part == "letters")


class Cifar10(LabelledSet):
    """Photographs of objects in ten classes: 50,000 and 10,000 colour images of 32x32 pixels.

    data_dir: holds cifar-10-batches-py.
    size: height and width to resize to once; None keeps 32.
    """

    name = "CIFAR10"
    native = image_spec(
        (3, 32, 32), 10, ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    )
    sizes = {"train": 50_000, "validation": 10_000}

    def files(self) -> list[str]:
        names = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta"]
        return [f"cifar-10-batches-py/{name}" for name in names]

    def archives(self) -> list[Archive]:
        return [Archive(self.torchvision.url, self.torchvision.tgz_md5, self.torchvision.filename)]

    def read(self, root: Path, split: str) -> tuple[Tensor, Tensor]:
        published = self.torchvision(root, train=split == "train")  # checks the MD5 of the files before it opens them
        return torch.from_numpy(published.data).permute(0, 3, 1, 2).contiguous(), torch.tensor(published.targets)


class Svhn(LabelledSet):
    """Digits cropped from street photographs of house numbers: 73,257 and 26,032 colour images of 32x32 pixels.

    data_dir: holds train_32x32.mat and test_32x32.mat.
    size: height and width to resize to once; None keeps 32.
    """

    name = "SVHN"
    native = image_spec((3, 32, 32), 10, digits)
    sizes = {"train": 73_257, "validation": 26_032}
    parts = {"train": "train", "validation": "test"}

    def files(self) -> list[str]:
        return [f"{part}_32x32.mat" for part in self.parts.values()]

    def archives(self) -> list[Archive]:
        published = (self.torchvision.split_list[part] for part in self.parts.values())
        return [Archive(url, md5, file) for url, file, md5 in published]

    def fetch(self, root: str) -> None:
        for part in self.parts.values():
            self.torchvision(root, split=part, download=True)

    def read(self, root: Path, split: str) -> tuple[Tensor, Tensor]:
        published = self.torchvision(root, split=self.parts[split])
        return torch.from_numpy(published.data).contiguous(), torch.from_numpy(published.labels)


class Celeba(PublishedSet):
    """Aligned faces of celebrities: 162,770 and 19,867 colour images without labels, decoded when drawn.

    data_dir: holds celeba/img_align_celeba and celeba/list_eval_partition.txt.
    size: height and width, or [height, width].
    crop: side in pixels of the central square taken from the 178x218 files; None takes the largest that fits.
    """

    name = "CelebA"
    sizes = {"train": 162_770, "validation": 19_867}
    parts = {"train": "0", "validation": "1"}

    def __init__(self, *, data_dir: Place, size: int | list[int] = 64, crop: int | None = 148):
        super().__init__(data_dir)
        if crop is not None:
            check_range("crop", crop, 1, 178)
        self.crop = crop
        self.spec = image_spec(image_size(3, size))

    def files(self) -> list[str]:
        return ["celeba/img_align_celeba", "celeba/list_eval_partition.txt"]

    def archives(self) -> list[Archive]:
        drive = "https://drive.google.com/uc?id="
        return [Archive(drive + key, md5, f"celeba/{file}") for key, md5, file in self.torchvision.file_list]

    def open(self, split: str) -> list[Examples]:
        images, partition = (self.root() / file for file in self.files())
        if partition.stat().st_size > LARGEST_FILE:
            raise ValueError(f"{partition} is larger than any that is published. Remove it to fetch it again.")
        # A line is "000001.jpg 0", and 0, 1, 2 are training, validation and test.
        lines = (line.split() for line in partition.read_text().splitlines())
        paths = [str(images / name) for name, part in lines if part == self.parts[split] and "/" not in name]
        if len(paths) != self.sizes[split]:
            raise ValueError(
                f"{partition} lists {len(paths)} images for {split}, not the published {self.sizes[split]}. "
                "Remove it to fetch it again."
            )
        return [ImageFiles("x", paths, self.spec.shape, crop=self.crop)]
