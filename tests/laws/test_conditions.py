"""Models that are conditioned: every capability takes the condition, row by row, and says which field is missing."""

import inspect
from functools import cache
from pathlib import Path

import lab
import pytest
import torch

from genlab.config.options import class_of
from genlab.contract.data import select
from genlab.contract.model import CAPABILITIES
from genlab.diffusion.operators import Operator
from genlab.inference.run import Run

CONDITIONAL = [case for case in lab.CASES if class_of("model", lab.model_of(case)).conditions]

UNCONDITIONED = {"prior", "translate"}
DRAWN = {"sample", "trajectory", "log_weights", "complete", "restore", "elbo", "denoising_error"}
"""Capabilities whose noise is drawn for all rows at once."""

HALF = Operator(lambda x: x / 2, lambda y: 2 * y, lambda y: 2 * y, "brighter", lambda y: y)

STEPS = 5
ROWS = 5


@pytest.fixture(scope="module")
def conditioned():
    """A run of a few steps, examples and their condition; made once for all laws of this file."""

    @cache
    def make(case):
        asked = ["model.conditional=true"] if lab.has_key(case, "model", "conditional") else []
        config = lab.compose(case, "trainer.batch_size=16", "trainer.max_steps=100", *asked)
        trainer = lab.trainer(config)
        lab.run_steps(trainer, STEPS)
        run = Run(Path(case), STEPS, config, trainer.model.data, trainer.model.eval(), lab.CPU)
        batch = next(trainer.validation_loader.in_order(limit=ROWS))
        return run, batch["x"], run.model.condition(batch)

    return make


def capabilities(run, x, condition):
    """What the model can do under a condition, by name: a function of rows and a condition, and its rows, x or z."""
    model = run.model
    known = {
        "sample": lambda rows, *given: model.sample(len(rows), *given),
        "log_weights": lambda rows, *given: model.log_weights(rows, 2, *given).T,
        "complete": lambda rows, *given: model.complete(rows, 4, *given),
        "trajectory": lambda rows, *given: model.trajectory(len(rows), *given, steps=2),
        "restore": lambda rows, *given: model.restore(HALF.apply(rows), HALF, *given, steps=2),
    }
    found = {}
    unfit = {"restore"} if model.data["x"].kind != "image" else set()
    for name in CAPABILITIES.keys() - UNCONDITIONED - unfit:
        if run.can(name):
            rows = latents(model, x, condition) if name == "decode" else x
            found[name] = known.get(name, getattr(model, name)), rows
    return found


@torch.no_grad()
def latents(model, x, condition):
    return model.encode(x, condition) if hasattr(model, "encode") else model.prior(len(x))


@pytest.mark.parametrize("case", CONDITIONAL)
def test_every_capability_takes_a_condition(case, conditioned):
    run, x, condition = conditioned(case)
    assert condition and set(condition) == set(run.model.conditions)
    for name, (function, rows) in capabilities(run, x, condition).items():
        parameters = inspect.signature(getattr(run.model, name)).parameters.values()
        last = [parameter for parameter in parameters if parameter.kind is parameter.POSITIONAL_OR_KEYWORD][-1]
        assert (last.name, last.default) == ("condition", None), name
        with run.inference():
            found = function(rows, condition)
        assert len(found) == ROWS and found.isfinite().all(), name


@pytest.mark.parametrize("case", CONDITIONAL)
def test_each_row_follows_its_own_condition(case, conditioned):
    run, x, condition = conditioned(case)
    for name, (function, rows) in capabilities(run, x, condition).items():
        if name not in DRAWN:
            with run.inference():
                whole = function(rows, condition)
                if name == "log_prob" and not torch.equal(whole, function(rows, condition)):
                    continue  # with noise between the grey levels
                for row in (slice(i, i + 1) for i in range(ROWS)):
                    alone = function(rows[row], select(condition, row))
                    torch.testing.assert_close(alone, whole[row], rtol=1e-4, atol=1e-4, msg=name)


@pytest.mark.parametrize("case", CONDITIONAL)
def test_another_condition_gives_other_samples_and_all_classes_come_in_turn_by_default(case, conditioned):
    run, *_ = conditioned(case)
    if not run.can("sample"):
        return
    for name in run.model.conditions:
        size = run.data[name].size
        assert size, f"this law has no two values of {name}: teach it some"
        by_class = [run.sample(ROWS, seed=1, condition={name: value}) for value in range(size)]
        assert all(not torch.equal(by_class[0], other) for other in by_class[1:]), name
        if len(run.model.conditions) == 1:  # the same noise, row by row
            ((default, used),) = run.draw(ROWS, seed=1)
            assert used[name].tolist() == [row % size for row in range(ROWS)]
            expected = torch.stack([by_class[row % size][row] for row in range(ROWS)])
            torch.testing.assert_close(default, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("case", CONDITIONAL)
def test_a_missing_condition_is_named_or_not_needed(case, conditioned):
    run, x, condition = conditioned(case)
    for name, (function, rows) in capabilities(run, x, condition).items():
        with run.inference():
            try:
                found = function(rows)
            except ValueError as error:
                assert "\n" not in str(error), name
                assert any(f"condition.{field}=" in str(error) for field in run.model.conditions), (name, error)
            else:
                assert len(found) == ROWS and found.isfinite().all(), name


@pytest.mark.parametrize("case", CONDITIONAL)
def test_a_value_that_is_none_of_the_classes_is_refused(case, conditioned):
    run, *_ = conditioned(case)
    for name in run.model.conditions if run.can("sample") else ():
        for value in (run.data[name].size, "weather"):
            with pytest.raises(ValueError, match=rf"condition\.{name}={value}"):
                run.sample(2, condition={name: value})
