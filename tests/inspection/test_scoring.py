"""Scores: what each method measures, which one is the default, and what is kept of many images."""

import math
from io import BytesIO
from types import SimpleNamespace

import lab
import pytest
import torch
from PIL import Image

from genlab.config.build import build_model
from genlab.contract.data import image_spec
from genlab.contract.model import GenerativeModel
from genlab.data.source import ArrayExamples
from genlab.inference.run import Run
from genlab.inference.scoring import METHODS
from genlab.inspection.images import Images
from genlab.inspection.scoring import score_images


def brightness(x):
    return x.flatten(1).sum(1)


def file_size(image):
    file = BytesIO()
    Image.fromarray((255 * image[0]).round().byte().numpy()).save(file, "PNG", compress_level=3)
    return len(file.getvalue())


ABILITIES = {
    "log_prob": brightness,
    "reconstruct": lambda x: x + 0.5,
    "elbo": lambda x: brightness(x) / 2,
    "denoising_error": lambda x: 3 * brightness(x),
    "log_weights": lambda x, num_samples: brightness(x).expand(num_samples, -1),
    "discriminator_score": lambda x: 2 * brightness(x),
    "statistics": lambda x: torch.stack([brightness(x), x.flatten(1).norm(dim=1), torch.ones(len(x))], 1),
}


def run_with(*names):
    """A run whose model can do these things, with results that are known."""
    config = SimpleNamespace(choices=SimpleNamespace(model="oracle", dataset="digits"))
    model = GenerativeModel(data := image_spec((1, 2, 2)))
    for name in names:
        setattr(model, name, ABILITIES[name])
    run = Run("folder", 1, config, data, model, lab.CPU)
    source = SimpleNamespace(spec=data, open=lambda split: [ArrayExamples(x=TRAINING)])
    run.scorer.find_training = lambda: source
    return run


TRAINING = torch.randint(256, (40, 1, 2, 2), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))


def run_of(name, *overrides):
    """An untrained run of a real model."""
    config = lab.compose(name, *overrides)
    source = lab.examples(config, train=24)
    data = source.spec
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build_model(config, data).eval().requires_grad_(False)
    run = Run("folder", 1, config, data, model, lab.CPU)
    run.scorer.find_training = lambda: source
    return run


def noise(count, shape, seed=0):
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(seed))


class Album(Images):
    """Images in batches of 10."""

    def __init__(self, x, label=None):
        super().__init__("album", len(x))
        self.x, self.label = x, label

    def read(self):
        for start in range(0, len(self.x), 10):
            part = slice(start, start + 10)
            names = [f"image {number}" for number in range(len(self.x))][part]
            yield names, self.x[part], {} if self.label is None else {"label": self.label[part]}


def test_every_method_says_what_it_means():
    run, x = run_with(*ABILITIES), noise(5, (1, 2, 2))
    usual = brightness(TRAINING / 255).double()
    statistics = [
        torch.stack([brightness(some), some.flatten(1).norm(dim=1)], 1).double() for some in (x, TRAINING / 255)
    ]
    difference = statistics[0] - statistics[1].mean(0)
    path = (difference @ statistics[1].T.cov(correction=0).inverse() * difference).sum(1).sqrt()
    expected = {
        "log-prob": -brightness(x),
        "complexity": -brightness(x) - 8 * math.log(2) * torch.tensor([file_size(image) for image in x]),
        "reconstruction": torch.full((5,), 0.25),
        "bound": -brightness(x) / 2,
        "denoising": 3 * brightness(x),
        "importance-weighted": -brightness(x),
        "elbo": -brightness(x),
        "discriminator": -2 * brightness(x),
        "typicality": (brightness(x) - usual.mean()).abs() / usual.std(correction=0),
        "path": path,
    }
    assert expected.keys() == METHODS.keys()
    for method, value in expected.items():
        torch.testing.assert_close(run.score(x, method, importance_samples=7), value.double(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "abilities, default",
    [
        (["log_prob", "reconstruct"], "log-prob"),
        (["reconstruct", "log_weights", "statistics"], "path"),
        (["reconstruct", "log_weights"], "reconstruction"),
        (["log_weights", "discriminator_score"], "importance-weighted"),
        (["discriminator_score"], "discriminator"),
    ],
)
def test_the_default_is_the_best_that_the_model_can(abilities, default):
    run, x = run_with(*abilities), noise(4, (1, 2, 2))
    assert run.scorer.method() == default
    assert torch.equal(run.score(x), run.score(x, default))


@pytest.mark.parametrize("name", [model for model in lab.MODELS if lab.own_class(model)])
def test_every_model_scores_by_all_that_it_can(name):
    run = run_of(name)
    images = run.data["x"].kind == "image" if "x" in run.data else True
    able = [method for method, way in METHODS.items() if run.can(way.needs) and (images or not way.of_images)]
    if not able:
        with pytest.raises(ValueError, match=rf"model {name} has no way to score"):
            run.scorer.method()
        return
    everything, state = noise(300, run.data.shape), torch.get_rng_state()

    def score(x, method, **options):
        given = run.conditioning.varied(len(x))
        return run.score(x, method, importance_samples=3, condition=given or None, **options)

    for method in able:
        x = everything[:6] if METHODS[method].needs in run.model.slow else everything  # else more than one batch
        scores = score(x, method)
        assert scores.shape == (len(x),) and scores.dtype == torch.float64 and scores.isfinite().all()
        assert torch.equal(score(x, method), scores), "the same seed, the same scores"
        few = min(256, len(x) - 4)
        torch.testing.assert_close(score(x[:few], method), scores[:few])
        if METHODS[method].needs != "log_prob":  # which some models measure with noise between the grey levels
            assert torch.equal(score(x, method, seed=1), scores) != METHODS[method].draws
    assert torch.equal(torch.get_rng_state(), state)
    if "elbo" in able:
        elbo, bound = (score(x, method) for method in ("elbo", "importance-weighted"))
        assert (bound <= elbo).all() and (bound < elbo).any(), "Jensen: the bound on the likelihood is tighter"


def test_without_training_data_nothing_is_compared_with_them():
    run = run_with("statistics", "log_weights", "reconstruct")
    run.scorer.find_training = lambda: None
    assert run.scorer.method() == "reconstruction"
    with pytest.raises(ValueError, match="method=path: compares with training data, and those of run=folder are not"):
        run.scorer.method("path")


def test_points_have_no_files_to_be_compared_with():
    run = run_of(next(name for name in lab.MODELS if lab.own_kind(name) == "points"))
    with pytest.raises(ValueError, match=r"method=complexity: serves images.* log-prob"):
        run.scorer.method("complexity")


def test_many_images_are_scored_as_in_one_batch_and_the_least_likely_kept():
    run, x, label = run_with("log_prob"), noise(37, (1, 2, 2)), torch.arange(37)

    def scored(album, shown):
        return score_images(run, album, "log-prob", seed=0, importance_samples=64, shown=shown)

    found = scored(Album(x, label), 12)
    assert found.images.names == [f"image {number}" for number in range(37)]
    assert torch.equal(found.scores, run.score(x)) and torch.equal(found.images.labels, label)
    assert found.least_likely.tolist() == run.score(x).argsort(descending=True)[:12].tolist()
    assert torch.equal(found.shown, x[found.least_likely])
    equal = scored(Album(torch.ones(37, 1, 2, 2)), 12)
    assert equal.least_likely.tolist() == list(range(12)), "of equal ones those that came first"
    assert equal.images.labels is None and len(scored(Album(x), 64).shown) == 37
