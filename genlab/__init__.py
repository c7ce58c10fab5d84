"""GenLab: train, sample, inspect and measure deep generative models from the command line."""

__version__ = "0.1.0"
