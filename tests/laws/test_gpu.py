"""On a CUDA device: a step never waits for the host, and recorded steps are the steps that run anew."""

import lab
import pytest
import torch

from genlab.runs.train import _loaders, build_trainer

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

STEPS = 40


def trainer_on_gpu(model, *settings):
    config = lab.compose(model, "device.name=cuda", "trainer.batch_size=16", "trainer.log_every=1000", *settings)
    device = torch.device("cuda", 0)
    source = lab.RandomImages(lab.requirements(config))
    return build_trainer(config, source, _loaders(config, source, device), device)


@pytest.mark.parametrize("precision", ["fp32", "fast-fp32", "bf16"])
@pytest.mark.parametrize("model", lab.MODELS)
def test_no_step_waits_for_the_device(model, precision):
    trainer = trainer_on_gpu(model, f"device.precision={precision}")
    trainer.model.train()
    batches = trainer.train_loader.batches(trainer.settings.batch_size)
    for _ in range(3):  # the first steps choose kernels and make optimizer states
        trainer.train_step(next(batches))
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(STEPS):
            trainer.train_step(next(batches))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert all(torch.tensor(list(trainer.log_row().values())).isfinite())


@pytest.mark.parametrize("model", ["ae", "vae", "beta-vae", "gan", "cgan"])
def test_recorded_steps_are_those_that_run_anew(model):
    keys = lab.compose(model).model.keys() & {"r1_every", "critic_steps"}
    settings = ["trainer.log_every=5", *(f"model.{key}=2" for key in sorted(keys))]
    plain, recorded = trainer_on_gpu(model, *settings), trainer_on_gpu(model, *settings, "device.cuda_graph=true")
    for trainer in (plain, recorded):
        lab.run_steps(trainer, STEPS)
    assert any(recording.repeat for recording in recorded.graphs.recordings.values())
    assert recorded.log_row() == pytest.approx(plain.log_row(), rel=2e-2)
