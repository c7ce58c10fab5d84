"""Configs that earlier versions stored in run folders and checkpoints, as this version writes them."""

from dataclasses import fields

from omegaconf import DictConfig, OmegaConf

from genlab.config.schema import MISSING, DeviceConfig


def brought_up(values: dict | DictConfig) -> DictConfig:
    """A stored config, of whose form `check_config` found nothing to say.

    Keys of `device` that came later stand at what they were before there was a choice; `model.dense`, which was the
    width of one layer (0 for none), is a list of widths.
    """
    config = OmegaConf.create(values)
    for key in fields(DeviceConfig):
        if key.default != MISSING:
            config.device.setdefault(key.name, key.default)
    if isinstance(width := config.model.get("dense"), int):
        config.model.dense = [width] if width else []
    return config
