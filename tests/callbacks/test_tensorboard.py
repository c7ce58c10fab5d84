"""What TensorBoard is told: the horizontal axis, histograms, and how a repeated part hides the former one."""

from types import SimpleNamespace

import lab
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from genlab.callbacks.tensorboard import TensorBoard
from genlab.checkpoints.status import RunStatus


@pytest.fixture
def board(tmp_path):
    """`board(*settings)`: a callback of a run with two rows, at the steps 6 and 12, four steps an epoch."""

    def make(*settings, first=0):
        logger = lab.compose("vae", *settings).logger
        batches = [SimpleNamespace(fields={}, x=torch.rand(5, 3))]
        loader = SimpleNamespace(device=lab.CPU, in_order=lambda limit: batches)
        model = SimpleNamespace(encode=None)
        trainer = SimpleNamespace(step=first, steps_per_epoch=4.0, settings=SimpleNamespace(batch_size=2))
        trainer.train_loader, trainer.model = loader, model
        callback = TensorBoard(tmp_path, "", {}, logger, RunStatus(tmp_path / "status.json", {}))
        callback._encoded = lambda trainer, limit: [(torch.rand(5, 3), None)]
        callback.on_start(trainer)
        for trainer.step in range(first + 6, 13, 6):
            callback.on_log(trainer, {"step": trainer.step, "epoch": trainer.step / 4, "train/loss": 1.0})
            callback.on_validate(trainer, {"elbo": 2.0})
        callback.on_close(trainer)
        return EventAccumulator(str(tmp_path), {"scalars": 0, "histograms": 0}).Reload()

    return make


@pytest.mark.parametrize("axis, places", [("step", [6, 12]), ("epoch", [1500, 3000])])
def test_the_axis_is_of_steps_or_of_thousandths_of_epochs(axis, places, board):
    board(f"logger.axis={axis}")
    shown = board(f"logger.axis={axis}", first=6)  # resumed after the first row, whose part beyond it is hidden
    for tag in ("loss/train/loss", "loss/validation/elbo", "system/epoch"):
        assert [event.step for event in shown.Scalars(tag)] == places
    assert [event.step for event in shown.Histograms("model/latents")] == places


def test_histograms_can_be_left_out(board):
    assert board("logger.histograms=false").Tags()["histograms"] == []
