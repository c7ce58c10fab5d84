"""Old names of keys and values, for the messages that name the new ones. Imports nothing slow."""

RENAMED_KEYS = {
    "num_pictures": "num_images",
    "picture_metadata": "image_metadata",
    "logger.picture_metadata": "logger.image_metadata",
    "pictures": "images",
    "order": "direction",
    "device.cuda_graph": "device.compile",
    "truncation": "sampling.truncation",
}
"""Old names of keys, which are refused with a hint at the new name."""

MOVED_KEYS = {
    "model.network": "network",
    "model.hidden": "network.hidden",
    "model.generator_hidden": "network.decoder_hidden",
    "model.normalization": "network.normalization",
    **{f"model.{name}": f"network.{name}" for name in ("channels", "max_channels", "dense")},
    **{f"model.{name}": f"network.{name}" for name in ("width", "blocks", "padding")},
}
"""Old names of keys that a model may still have, but that most have no more: the hint is for those."""

RENAMED_VALUES = {
    ("extractor", "digits"): "classifier",
    ("evaluation.extractor", "digits"): "classifier",
}
"""Old names of values, by key."""
