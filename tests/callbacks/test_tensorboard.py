"""What TensorBoard is told: the horizontal axis, histograms, and how a repeated part hides the former one."""

from types import SimpleNamespace

import lab
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from genlab.callbacks.tensorboard import TensorBoard
from genlab.checkpoints.status import RunStatus
from genlab.contract.field import Field, Spectrogram
from genlab.media.kinds import kind_of


@pytest.fixture
def board(tmp_path):
    """`board(*settings)`: a callback of a run with two rows, at the steps 6 and 12, four steps an epoch."""

    def make(*settings, first=0):
        logger = lab.compose("vae", *settings).logger
        batches = [SimpleNamespace(fields={}, x=torch.rand(5, 3))]
        loader = SimpleNamespace(device=lab.CPU, in_order=lambda limit: batches)
        model = SimpleNamespace(encode=None, slow=())
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


def test_previews_of_sound_can_be_heard(tmp_path):
    field = Field("image", (1, 64, 32), spectrogram=Spectrogram())
    kind, x = kind_of(field), torch.rand(2, 3, 1, 64, 32)
    picture = kind.picture(x)._replace(sounds=kind.heard(x))
    logger = lab.compose("vae").logger
    trainer = SimpleNamespace(step=5, steps_per_epoch=4.0, train_loader=SimpleNamespace(device=lab.CPU))
    callback = TensorBoard(tmp_path, "", {}, logger, RunStatus(tmp_path / "status.json", {}))
    callback.on_start(trainer)
    callback.on_preview(trainer, {"samples": picture})
    callback.on_close(trainer)
    shown = EventAccumulator(str(tmp_path), {"audio": 0, "images": 0}).Reload()
    assert shown.Tags()["images"] == ["previews/samples"]
    assert shown.Tags()["audio"] == [f"previews/samples/{number}" for number in range(1, 7)]
    (heard,) = shown.Audio("previews/samples/6")
    assert (heard.sample_rate, heard.length_frames, heard.content_type) == (8000, 31 * 64, "audio/wav")
    assert heard.encoded_audio_string[:4] == b"RIFF"
