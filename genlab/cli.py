"""The `genlab` command: a table of commands, and what a person sees when one fails. Imports nothing slow."""

import difflib
import importlib
import os
import signal
import sys

from genlab import __version__
from genlab.training.interruption import leaving_at_once

COMMANDS = {
    "train": "train a model, or a sweep of models with -m",
    "resume": "go on with a run that was stopped, killed or finished",
    "sample": "draw new pictures from a trained run",
    "reconstruct": "show pictures beside what a trained run makes of them",
    "interpolate": "walk from one picture to another through the latent space",
    "traverse": "move one latent at a time and look",
    "translate": "carry pictures to the other domain",
    "score": "say how unlikely pictures are, and find outliers",
    "encode": "write the latents of pictures, and plot them",
    "evaluate": "measure how good a trained run is",
    "compare": "put runs into one table and one page",
    "export": "write networks for use without GenLab",
}

EPILOGUE = """
  genlab COMMAND --help      what a command takes
  genlab completion          a line for ~/.bashrc that completes commands and keys

Start with `genlab train`: a VAE on handwritten digits, in under a minute."""


def usage() -> str:
    lines = [f"GenLab {__version__}: train deep generative models from the command line.", ""]
    lines += ["usage: genlab COMMAND [key=value ...]", ""]
    lines += [f"  {name:<12} {summary}" for name, summary in COMMANDS.items()]
    return "\n".join(lines) + "\n" + EPILOGUE


def main(arguments: list[str] | None = None) -> None:
    """Run one command and exit: 0 done, 1 the run failed, 2 the request is wrong, 128 + N stopped by signal N."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        sys.exit(_dispatch(arguments))
    except KeyboardInterrupt as error:
        _explain(str(error) or "stopped from the keyboard", 128 + getattr(error, "number", signal.SIGINT))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except ValueError as error:
        _explain(str(error), 2)
    except Exception as error:
        _explain(str(error) or type(error).__name__, 1)


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage())
        return 0
    name, *rest = arguments
    if name == "--version":
        print(__version__)
        return 0
    if name in ("completion", "complete"):
        from genlab.commands import completion

        return completion.main(name, rest)
    if name not in COMMANDS:
        close = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(COMMANDS)}"
        raise ValueError(f"{name}: no such command; {hint}")
    if name not in ("train", "resume"):
        return _carry_out(name, rest)
    with leaving_at_once():
        if "RANK" not in os.environ:
            return _carry_out(name, rest)
        from genlab.training.run import carry_out_under_torchrun

        return carry_out_under_torchrun(lambda: _carry_out(name, rest))


def _carry_out(name: str, rest: list[str]) -> int:
    command = importlib.import_module(f"genlab.commands.{name}")
    if "--help" in rest or "-h" in rest:
        from genlab.commands import completion

        print(command.HELP.format(groups=completion.group_table()))
        return 0
    return command.main(rest)


def _explain(message: str, code: int) -> None:
    """Say what is wrong in one line or list and exit; `GENLAB_DEBUG=1` shows the traceback as well."""
    if os.environ.get("GENLAB_DEBUG"):
        import traceback

        traceback.print_exc()
    first, *others = message.splitlines() or [""]
    print(f"genlab: {first}", file=sys.stderr)
    for line in others:
        print(f"        {line}", file=sys.stderr)
    sys.exit(code)
