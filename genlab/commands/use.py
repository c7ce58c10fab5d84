"""What the commands that use a trained run share: compose their few keys, load the run."""

from omegaconf import DictConfig

from genlab.config.compose import RequestError, compose_jobs, register


def compose_use(command: str, arguments: list[str]) -> DictConfig:
    """The config of one command line."""
    if flags := [argument for argument in arguments if argument.startswith("-")]:
        raise ValueError(f"{flags[0]}: no such option; see genlab {command} --help")
    register()
    config = compose_jobs(command, arguments)[0].config
    from genlab.config.check import words_and_minima

    if problems := list(words_and_minima(config)):
        raise RequestError(problems)
    return config


def load_run(config: DictConfig):
    """The run that `config.run` names, on `config.device`. Imports torch."""
    from genlab.config.schema import DeviceConfig
    from genlab.sampling.load import load
    from genlab.training.device import prepare

    return load(config.run, prepare(DeviceConfig(**config.device)), config.output_dir)
