"""What of a config TensorBoard's HParams tab shows."""

import lab

from genlab.runs.callbacks import _hparams


def test_without_a_choice_all_settings_of_the_run_are_shown_and_none_of_the_machine():
    found = _hparams(lab.compose("vae", "seed=7"))
    assert (found["model"], found["seed"]) == ("vae", 7)
    assert "model.latent_dim" in found and "optimizer.lr" in found
    assert not any(key.startswith(("device", "loader", "logger")) for key in found)


def test_a_choice_is_shown_alone_whatever_it_names():
    keys = ["seed", "model", "network.hidden", "optimizer", "loader.shift", "trainer.clip", "no.such.key"]
    found = _hparams(lab.compose("vae", f"logger.hparams=[{','.join(keys)}]", "optimizer=sgd"))
    assert found == {"seed": 0, "model": "vae", "network.hidden": "[16]", "optimizer": "SGD", "loader.shift": 0}
