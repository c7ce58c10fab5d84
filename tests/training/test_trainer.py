"""The loop's own promises, on a toy whose updates can be worked out by hand."""

import math

import lab
import pytest
import torch
from torch import nn

from genlab.callbacks.validation import EarlyStopping, Validation
from genlab.contract.data import image_spec
from genlab.contract.model import GenerativeModel, Update
from genlab.contract.settings import LoaderConfig, TrainerConfig
from genlab.data.loading import Loader
from genlab.data.source import ArrayExamples, Source
from genlab.training.inference import preview, validate
from genlab.training.scalars import TrainingDiverged
from genlab.training.schedule import Constant
from genlab.training.trainer import Trainer


class Grey(Source):
    """Images of one pixel: 0, 1, ..., count - 1 in 255ths."""

    def __init__(self, count=20):
        self.spec, self.sizes = image_spec((1, 1, 1)), {"train": count, "validation": 300}

    def open(self, split):
        return [ArrayExamples(x=(torch.arange(self.sizes[split]) % 256).byte().view(-1, 1, 1, 1))]


class Scale(nn.Module):
    def __init__(self, value):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(value))


class TwoPlayers(GenerativeModel):
    """first: moves every step, twice; second: every third step. Losses lean on both players' weights."""

    averaged = ("first",)
    metrics = {"mean": "min"}

    def __init__(self, data):
        super().__init__(data)
        self.first, self.second = Scale(1.0), Scale(2.0)
        self.turns = []

    def players(self):
        return {"first": self.first, "second": self.second}

    def training_step(self, batch, step):
        self.turns.append((step, batch.size))
        product = self.first.weight * self.second.weight
        yield Update("first", 3 * product, {"product": product})
        yield Update("first", self.first.weight.square() / 2)
        if step % 3 == 0:
            yield Update("second", batch["x"].mean() * self.second.weight)

    def evaluate(self, batch):
        return {"mean": batch["x"].mean(), "weight": self.first.weight, "noise": batch.randn().mean()}

    def preview(self, batch):
        return {"images": batch["x"][None].expand(2, -1, -1, -1, -1)}


def make(kind=TwoPlayers, micro_batch=None, **settings):
    values = {
        "max_steps": 6,
        "max_epochs": None,
        "batch_size": 4,
        "clip": None,
        "ema": None,
        "log_every": 2,
        "validate_every": None,
        "preview_every": None,
        "checkpoint_every": None,
        "keep_checkpoints": 1,
        "early_stop_metric": None,
        "early_stop_patience": 1,
    }
    source = Grey()
    model = kind(source.spec)
    optimizers = {name: torch.optim.SGD(module.parameters(), lr=0.1) for name, module in model.players().items()}
    loading = LoaderConfig("memory", 1.0, 0, False, 0)
    loaders = [Loader(source, split, loading, seed=0, device=lab.CPU) for split in ("train", "validation")]
    device = lab.device_config(micro_batch=micro_batch)
    return Trainer(
        model, optimizers, Constant(), *loaders, settings=TrainerConfig(**values | settings), device=device, seed=0
    )


def by_hand(steps, batches, clip=None):
    """The same steps with plain numbers."""
    first, second = 1.0, 2.0
    limited = (lambda g: g) if clip is None else (lambda g: math.copysign(min(abs(g), clip), g))
    for step in range(steps):
        mean = next(batches)["x"].mean().item()
        first -= 0.1 * limited(3 * second)
        first -= 0.1 * limited(first)
        if step % 3 == 0:
            second -= 0.1 * limited(mean)
    return first, second


@pytest.mark.parametrize("micro_batch", [None, 2])
@pytest.mark.parametrize("clip", [None, 0.5])
def test_steps_are_those_of_plain_gradient_descent(clip, micro_batch):
    trainer = make(clip=clip, micro_batch=micro_batch)
    trainer.fit()
    expected = by_hand(6, make().train_loader.batches(4), clip)
    weights = trainer.model.first.weight.item(), trainer.model.second.weight.item()
    assert weights == pytest.approx(expected, rel=1e-5)
    assert len(trainer.model.turns) == 6 * (4 // (micro_batch or 4))


class Rows:
    """Collects what callbacks are told."""

    key = "rows"

    def __init__(self):
        self.events = []

    def extra_metrics(self, trainer, row):
        return {}

    def __getattr__(self, event):
        if event.startswith("_"):
            raise AttributeError(event)
        return lambda trainer, *arguments: self.events.append((event, trainer.step, *arguments))


def test_rows_hold_means_norms_and_rates():
    trainer = make(max_steps=5)
    trainer.events.callbacks = [rows := Rows()]
    trainer.fit()
    assert [(event, step) for event, step, *_ in rows.events] == [
        ("on_start", 0),
        *[("on_step_end", 1), ("on_log", 2), ("on_step_end", 2), ("on_step_end", 3)],
        *[("on_log", 4), ("on_step_end", 4), ("on_step_end", 5)],
        *[("on_last_step", 5), ("on_log", 5), ("on_finish", 5)],
    ]
    first = next(row for event, _, *row in rows.events if event == "on_log")[0]
    assert first["step"] == 2 and first["epoch"] == pytest.approx(2 * 4 / 20)
    assert first["learning_rate/first"] == first["learning_rate/second"] == 0.1
    assert {"train/first/loss", "train/first/product", "train/second/loss", "gradient_norm/first"} <= first.keys()
    assert first["gradient_norm/first"] > 0


def test_epochs_become_steps():
    assert make(max_steps=None, max_epochs=2.5).max_steps == 13  # 2.5 * 20 / 4 = 12.5
    assert make(max_steps=7, max_epochs=100).max_steps == 7, "max_steps wins"


def test_validation_is_the_mean_over_all_examples():
    trainer = make()
    measured = validate(trainer)
    expected = (torch.arange(300) % 256).double().mean() / 255
    assert measured["mean"] == pytest.approx(expected.item(), rel=1e-6), "batches of 256 and 44 weigh as they should"
    assert measured["weight"] == pytest.approx(1.0)
    assert measured == validate(trainer), "the noise repeats"


def test_validation_sees_the_averaged_weights_and_training_goes_on_with_its_own():
    trainer = make(ema=0.5)
    lab.run_steps(trainer, 4)
    own = trainer.model.first.weight.item()
    averaged = trainer.ema.state_dict()["first.weight"].item()
    assert own != averaged
    assert validate(trainer)["weight"] == pytest.approx(averaged)
    assert trainer.model.first.weight.item() == own
    assert trainer.model.training


def test_preview_shows_the_first_validation_images():
    grid = preview(make())["images"].examples
    assert grid.shape == (2, 64, 1, 1, 1) and grid.dtype == torch.float32
    torch.testing.assert_close(grid[0].flatten(), torch.arange(64) / 255)


class Diverging(TwoPlayers):
    def training_step(self, batch, step):
        yield Update("first", self.first.weight * 1.0, {"term": torch.tensor(math.nan if step == 2 else 1.0)})


def test_a_nan_stops_the_run_and_is_named():
    trainer = make(Diverging, max_steps=10, log_every=5)
    with pytest.raises(TrainingDiverged, match=r"^first/term became nan at step 3\."):
        trainer.fit()
    assert trainer.step == 5, "found when the next row is due, without waiting for the device at every step"


class Frozen(TwoPlayers):
    def __init__(self, data):
        super().__init__(data)
        self.first.fixed = nn.Parameter(torch.tensor(5.0), requires_grad=False)


def test_weights_that_are_not_trained_are_left_alone():
    trainer = make(Frozen)
    trainer.fit()
    assert trainer.model.first.fixed.item() == 5 and trainer.model.first.weight.item() != 1


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("every", [1, 4, None])
def test_a_validation_that_is_not_finite_fails_the_run_at_its_end_alone(every, value, monkeypatch):
    """Due at the last step or not; the callbacks, which keep the record, are told before."""
    trainer, told = make(max_steps=6), Rows()
    trainer.events.callbacks = [told, Validation(every)]
    monkeypatch.setattr(TwoPlayers, "evaluate", lambda model, batch: {"mean": torch.tensor(value)})
    with pytest.raises(TrainingDiverged, match=f"^validation/mean became {value} at step 6. Lower optimizer.lr"):
        trainer.fit()
    assert [step for event, step, *_ in told.events if event == "on_validate"] == {1: [*range(1, 7)], 4: [4, 6]}.get(
        every, [6]
    )


def test_early_stopping_by_nan_is_an_end_in_nan(monkeypatch):
    trainer = make(max_steps=6)
    trainer.events.callbacks = [Validation(1), EarlyStopping("mean", "min", patience=2)]
    monkeypatch.setattr(TwoPlayers, "evaluate", lambda model, batch: {"mean": torch.tensor(math.nan)})
    with pytest.raises(TrainingDiverged, match="validation/mean became nan at step 2"):
        trainer.fit()


def test_a_metric_that_a_batch_cannot_have_is_the_mean_over_the_others():
    trainer = make()
    trainer.model.evaluate = lambda batch: {"size": batch.size, **({"large": 3.0} if batch.size > 100 else {})}
    assert validate(trainer)["large"] == pytest.approx(3)
