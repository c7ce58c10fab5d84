"""Steps that are recorded once and replayed (`device.cuda_graph`) are the steps that run anew each time, to the bit.

No GPU is needed: a tape notes the operations of a step with the tensors that they read and write, and plays them
again at the same addresses, which is what a CUDA graph does.
"""

import lab
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from genlab.training.state import load_state_dict, state_dict
from genlab.training.stepper import Replaying

STEPS = 40

KINDS_THAT_RETURN_SOON = {"r1_every": 2, "critic_steps": 2}


class Tape(TorchDispatchMode):
    """Notes operations; playing it writes their results to where the first ones lie."""

    def __init__(self):
        super().__init__()
        self.operations = []

    def __torch_dispatch__(self, operation, types, arguments=(), options=None):
        result = operation(*arguments, **(options or {}))
        self.operations.append((operation, arguments, options or {}, result))
        return result

    def play(self):
        with torch._C._AutoDispatchBelowAutograd():  # what it noted were kernels, not what autograd makes of them
            for operation, arguments, options, noted in self.operations:
                result = operation(*arguments, **options)
                for old, new in zip(tree_leaves(noted), tree_leaves(result), strict=True):
                    if isinstance(old, torch.Tensor) and old.data_ptr() != new.data_ptr():
                        old.copy_(new)


class TapeRecorder:
    """Counts what it records. The tape runs what it notes, unlike a GPU: so playing it first does nothing."""

    def __init__(self):
        self.recorded = 0

    def warm_up(self, work):
        return work()

    def record(self, work):
        self.recorded += 1
        tape = Tape()
        with tape:
            work()
        plays = iter([lambda: None])
        return lambda: next(plays, tape.play)()


class NoRecorder(TapeRecorder):
    """Does the work anew each time."""

    def record(self, work):
        return work


def small(model):
    keys = lab.compose(model).model.keys() & KINDS_THAT_RETURN_SOON.keys()
    return lab.compose(
        model,
        "schedule=linear_decay",
        "trainer.batch_size=16",
        "trainer.log_every=5",
        f"trainer.max_steps={STEPS}",
        *(f"model.{key}={KINDS_THAT_RETURN_SOON[key]}" for key in sorted(keys)),
    )


def recordable(model):
    return lab.trainer(small(model)).model.step_kind(0) is not None


def test_most_models_can_be_recorded():
    assert {"ae", "vae", "beta-vae", "gan", "cgan"} <= set(filter(recordable, lab.MODELS))


def trainer_with(recorder, config):
    trainer = lab.trainer(config)
    optimization = trainer.optimization
    optimization.stepper = Replaying(
        optimization.make_updates, optimization.kind, optimization.optimizers.values(), recorder
    )
    return trainer


@pytest.mark.parametrize("model", [model for model in lab.MODELS if recordable(model)])
def test_replayed_steps_equal_steps_that_run_anew(model):
    config, recorder = small(model), TapeRecorder()
    plain, anew, replayed = lab.trainer(config), trainer_with(NoRecorder(), config), trainer_with(recorder, config)
    for trainer in (plain, anew, replayed):
        lab.run_steps(trainer, STEPS)
    assert recorder.recorded >= 2  # steps with and without gradient norms
    assert not list(lab.differences(state_dict(anew), state_dict(replayed)))
    # Rates on the device are float32, which rounds otherwise than a plain run.
    assert replayed.log_row() == pytest.approx(plain.log_row(), rel=1e-2)


def test_a_state_that_is_loaded_is_recorded_anew():
    config = small("vae")
    trainer = trainer_with(TapeRecorder(), config)
    lab.run_steps(trainer, STEPS)
    saved = lab.snapshot(state_dict(trainer))
    assert all(type(group["lr"]) is float for state in saved["optimizers"].values() for group in state["param_groups"])
    lab.run_steps(trainer, 10)
    load_state_dict(trainer, saved)
    assert not trainer.optimization.stepper.graphs.recordings
    assert not list(lab.differences(saved, state_dict(trainer)))
    lab.run_steps(trainer, 1)
