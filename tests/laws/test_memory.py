"""What is computed does not depend on how much memory it may take, and measuring takes little more than training."""

import os
import subprocess
import sys
from dataclasses import replace

import lab
import numpy as np
import pytest
import torch
from representatives import REPRESENTATIVE_CASES

from genlab.evaluation.choosing import choose
from genlab.evaluation.context import EvaluationContext
from genlab.evaluation.evaluate import evaluate
from genlab.inference.run import Run
from genlab.inference.scoring import METHODS
from genlab.system.portions import Portions
from genlab.training.inference import preview, validate

ONE_OF_EACH = {METHODS[method].needs: method for method in reversed(METHODS)}.values()
"""Methods of scoring: the first for each capability."""


def measured(trainer, run, source, budget):
    """What is made and measured with networks that may take `budget` bytes, by name; and the portions."""
    trainer.optimization.portions = Portions(trainer.model, budget)
    run = replace(run)
    run.portions = Portions(run.model, budget)
    run.scorer.find_training = lambda: source
    found = {name: torch.tensor(value) for name, value in validate(trainer).items()}
    found |= {name: grid.examples for name, grid in preview(trainer).items()}
    trainer.model.eval()  # training goes on after a validation
    batch = next(trainer.validation_loader.in_order(20))
    given = run.model.condition(batch)
    if run.can("sample"):
        found["sample"] = run.sample(20)
    for name in ("encode", "reconstruct"):
        if run.can(name):
            found[name] = getattr(run, name)(batch["x"], given)
    for to in run.model.targets if run.can("translate") else ():
        found[f"to {to}"] = run.translate(batch[run.origin_of(to)], to)
    for method in ONE_OF_EACH:
        if run.can(METHODS[method].needs):
            found[method] = run.score(batch["x"], method, importance_samples=5, condition=given)
    return found, [size for network in run.portions.networks for size in network.sizes.values()]


@pytest.mark.representative
@pytest.mark.parametrize("case", REPRESENTATIVE_CASES)
def test_a_budget_changes_no_result(case):
    config = lab.compose(case, "trainer.batch_size=8")
    source = lab.examples(config)
    trainer = lab.trainer(config, source)
    run = Run(None, 0, config, source.spec, trainer.model.eval(), lab.CPU)
    whole, sizes = measured(trainer, run, source, 2**40)
    assert min(sizes) > 32
    small, sizes = measured(trainer, run, source, 2**8)
    assert max(sizes) <= 32, "computed in portions"
    for name, value in whole.items():
        torch.testing.assert_close(
            small[name], value, rtol=1e-4, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}"
        )


def test_an_evaluation_does_not_depend_on_the_budget(monkeypatch):
    config = lab.compose("vae", "evaluation.extractor=pixels", "evaluation.num_samples=40")
    source = lab.examples(config)
    trainer = lab.trainer(config, source)
    entries = []
    for budget in (2**40, 2**8):
        run = Run(None, 0, config, source.spec, trainer.model.eval(), lab.CPU)
        run.portions = Portions(run.model, budget)
        context = EvaluationContext(source, "random", config.evaluation, config, lab.CPU, progress=False)
        names = ["likelihood", "reconstruction", "latents", "manifold", "copies"]
        entries.append(evaluate(run, context, choose(run, context, names)))
    for name, entry in entries[0].items():
        assert entries[1][name]["value"] == pytest.approx(entry["value"], rel=1e-3), name


STEPS = """
import sys, torch
from genlab.config.build import build_source
from genlab.config.compose import compose_job, register
from genlab.data.loading import Loader
from genlab.runs.train import build_trainer
from genlab.system.device import prepare

register()
config = compose_job(sys.argv[1:]).config
device, source = prepare(config.device), build_source(config.dataset)
loaders = [Loader(source, split, config.loader, seed=0, device=device) for split in ("train", "validation")]
trainer = build_trainer(config, source, loaders, device)
trainer.model.train()
batches = trainer.train_loader.batches(config.trainer.batch_size)
for _ in range(3):
    trainer.train_step(next(batches))
"""
"""Training steps alone."""


def peak(*command):
    """The most memory in MiB that Python took for a command."""
    child = subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    errors = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    assert status == 0, errors
    return usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


@pytest.mark.slow
@pytest.mark.parametrize("size", [64, 128, 256])
@pytest.mark.parametrize("model", ["vae", "cyclegan"])
def test_validating_and_evaluating_take_at_most_half_more_than_training_steps(model, size, tmp_path, monkeypatch):
    monkeypatch.setenv("GENLAB_CACHE", str(tmp_path / "cache"))
    random, path = np.random.default_rng(0), tmp_path / "data.npz"
    images = random.integers(0, 256, (512, 8, 8, 3), dtype=np.uint8).repeat(size // 8, 1).repeat(size // 8, 2)
    np.savez(path, x=images, y=random.integers(0, 2, 512))
    settings = {
        "vae": [
            *("network=conv", "dataset=npz", f"dataset.path={path}", "dataset.images_key=x", "dataset.labels_key=y"),
            *("dataset.validation_fraction=0.5", f"trainer.batch_size={16 if size == 256 else 32}"),
        ],
        "cyclegan": [f"dataset.size={size}", "dataset.num_train=32", "dataset.num_validation=256"],
    }[model]
    settings = [f"model={model}", *settings, "device.threads=1"]
    alone, run, few = peak("-c", STEPS, *settings), tmp_path / "run", ["importance_samples=4", "num_samples=300"]
    quick = ["trainer.max_steps=3", "trainer.validate_every=2", "logger.console=false", f"hydra.run.dir={run}"]
    found = {"training": peak("-m", "genlab", "train", *settings, *quick)}
    for metrics in ("null", *(["[likelihood]"] if model == "vae" else [])):
        asked = ["evaluate", f"run={run}", "device.threads=1", f"metrics={metrics}", *few]
        found[f"evaluate metrics={metrics}"] = peak("-m", "genlab", *asked)
    print(f"{model} {size}: steps alone {alone:.0f} MiB, {', '.join(f'{n} {v:.0f}' for n, v in found.items())}")
    assert max(found.values()) <= 1.5 * alone, (alone, found)
