"""On a CUDA device: a step never waits for the host, and compiled networks, run as CUDA graphs, give the same steps."""

import lab
import pytest
import torch

from genlab.runs.train import _loaders, build_trainer
from genlab.training.inference import validate

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

STEPS = 40


def trainer_on_gpu(case, *settings):
    config = lab.compose(case, "device.name=cuda", "trainer.batch_size=16", "trainer.log_every=1000", *settings)
    device = torch.device("cuda", 0)
    source = lab.examples(config)
    return build_trainer(config, source, _loaders(config, source, device), device)


@pytest.mark.parametrize("precision", ["fp32", "fast-fp32", "bf16"])
@pytest.mark.parametrize("case", lab.CASES)
def test_no_step_waits_for_the_device(case, precision):
    trainer = trainer_on_gpu(case, f"device.precision={precision}")
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


@pytest.mark.parametrize("case", lab.CASES)
def test_compiled_steps_are_those_of_uncompiled_networks(case):
    """Scalars are kept over steps, every step validates, and penalties and critic steps take turns."""
    keys = lab.compose(case).model.keys() & {"r1_every", "critic_steps"}
    settings = [f"model.{key}=2" for key in sorted(keys)]
    plain, compiled = trainer_on_gpu(case, *settings), trainer_on_gpu(case, *settings, "device.compile=true")
    for _ in range(4):
        for trainer in (plain, compiled):
            lab.run_steps(trainer, 3)
        assert validate(compiled) == pytest.approx(validate(plain), rel=5e-2, abs=1e-2)
    assert compiled.log_row() == pytest.approx(plain.log_row(), rel=5e-2, abs=1e-2)
