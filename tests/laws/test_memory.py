"""What is computed does not depend on how much memory it may take, and measuring takes little more than training."""

from dataclasses import replace

import lab
import pytest
import torch
from representatives import REPRESENTATIVE_CASES

from genlab.evaluation.context import EvaluationContext
from genlab.evaluation.evaluate import choose, evaluate
from genlab.inference.run import Run
from genlab.inference.scoring import METHODS
from genlab.system.portions import Portions
from genlab.training.inference import preview, validate


def measured(trainer, run, budget):
    """What is made and measured with networks that may take `budget` bytes, by name; and the portions."""
    trainer.optimization.portions = Portions(trainer.model, budget)
    run = replace(run)
    run.portions = Portions(run.model, budget)
    found = {name: torch.tensor(value) for name, value in validate(trainer).items()} | preview(trainer)
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
    for method, entry in METHODS.items():
        if run.can(entry.needs):
            found[method] = run.score(batch["x"], method, importance_samples=5, condition=given)
    return found, [size for network in run.portions.networks for size in network.sizes.values()]


@pytest.mark.representative
@pytest.mark.parametrize("case", REPRESENTATIVE_CASES)
def test_a_budget_changes_no_result(case):
    config = lab.compose(case, "trainer.batch_size=8")
    source = lab.examples(config)
    trainer = lab.trainer(config, source)
    run = Run(None, 0, config, source.spec, trainer.model.eval(), lab.CPU)
    whole, sizes = measured(trainer, run, 2**40)
    assert min(sizes) > 32
    small, sizes = measured(trainer, run, 2**8)
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
        names = ["likelihood", "reconstruction", "latents", "frechet", "copies"]
        entries.append(evaluate(run, context, choose(run, context, names)))
    for name, entry in entries[0].items():
        assert entries[1][name]["value"] == pytest.approx(entry["value"], rel=1e-3), name
