"""The `genlab` command: dispatches to a command and reports its errors. Imports nothing slow."""

import errno
import importlib
import os
import shlex
import signal
import sys
from contextlib import redirect_stdout
from pathlib import Path
from traceback import extract_tb
from typing import NoReturn

from genlab.commands.pages import help_page, usage
from genlab.config.commands import COMMANDS
from genlab.config.paths import options
from genlab.system import plugins, spin, torchrun
from genlab.system.neighbours import Neighbours
from genlab.system.signals import leaving_at_once
from genlab.system.streams import lasting_streams
from genlab.system.text import Printing, did_you_mean
from genlab.system.version import __version__

_HELP = ("-h", "--help", "help")


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run one command and exit: 0 success, 1 the run failed, 2 invalid request, 128 + N stopped by signal N."""
    with lasting_streams():
        try:
            with redirect_stdout(Printing(sys.stdout)):
                sys.exit(_dispatch(sys.argv[1:] if arguments is None else arguments))
        except KeyboardInterrupt as error:
            _explain(str(error) or "stopped from the keyboard", 128 + getattr(error, "number", signal.SIGINT))
        except ValueError as error:
            _explain(str(error), 2)
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            _explain(f"{place}{error.strerror or error}", 2 if error.errno == errno.ENAMETOOLONG else 1)
        except Exception as error:
            first, *others = (str(error) or type(error).__name__).splitlines()
            _explain("\n".join([first + _place(error), *others]), 1)


def _dispatch(arguments: list[str]) -> int:
    if arguments[:1] and arguments[0] in _HELP and arguments[1:2] and arguments[1] in COMMANDS:
        arguments = [*arguments[1:], "--help"]
    if not arguments or arguments[0] in _HELP:
        print(usage())
        return 0
    name, *rest = arguments
    if name == "--version":
        print(__version__)
        return 0
    if name in ("completion", "complete"):
        return importlib.import_module("genlab.commands.completion").main(name, rest)
    if name not in COMMANDS:
        raise ValueError(f"{name}: no such command; {_command_meant(arguments)}")
    if "--help" in rest or "-h" in rest:
        print(help_page(name))
        if others := [word for word in rest if word not in _HELP]:  # what they bring is composed by Hydra
            print(importlib.import_module("genlab.commands.chosen_keys").chosen_keys(name, others), end="")
        return 0
    neighbours = Neighbours()
    try:
        importlib.import_module("genlab.commands.requests")  # imports Hydra: a quarter second to watch the neighbours
    except Exception:
        if name == "doctor":  # which looks for what is broken
            return importlib.import_module("genlab.commands.doctor").main(None)
        raise
    spin.choose(rest, neighbours)
    if name not in ("train", "resume"):
        return _run(name, rest)
    with leaving_at_once():
        if not torchrun.started_this():
            return _run(name, rest)
        from genlab.runs.train import run_under_torchrun  # imports torch, which takes a second

        return run_under_torchrun(lambda: _run(name, rest))


def _command_meant(arguments: list[str]) -> str:
    """What to write for a command line that begins with no command."""
    name, *rest = arguments
    if "=" in name or name.startswith("-"):
        return f"write {shlex.join(['genlab', 'train', *arguments])}"
    if (model := name.lower()) in options("model"):
        return f"write {shlex.join(['genlab', 'train', f'model={model}', *rest])}"
    return did_you_mean(name, COMMANDS)


def _run(name: str, arguments: list[str]) -> int:
    """Compose the request, then import the command and run it."""
    if os.environ.get("HOME") == "":  # libraries would write to /.cache
        del os.environ["HOME"]
    from genlab.commands.requests import compose_request  # imports Hydra: a quarter of a second
    from genlab.config.plugins import warn_of_refused_configs

    try:
        os.getcwd()
    except OSError as error:
        raise ValueError(
            f"the working folder cannot be read ({error.strerror}); go to another one, as by cd ~"
        ) from error
    warn_of_refused_configs()
    request = compose_request(name, arguments)
    return importlib.import_module(f"genlab.commands.{name}").main(request) or 0


def _place(error: Exception) -> str:
    """The line of a model, network or loss that an error comes from, for whoever writes one."""
    cause: BaseException = error
    while cause.__cause__:
        cause = cause.__cause__
    homes = {"models", "networks", "losses"} | {plugin.home for plugin in plugins.installed()}
    own = [frame for frame in extract_tb(cause.__traceback__) if Path(frame.filename).parent.name in homes]
    if not own:
        return ""
    file, frame = Path(own[-1].filename), own[-1]
    return f" ({type(cause).__name__} in {file.parent.name}/{file.name}:{frame.lineno}, {frame.name})"


def _explain(message: str, code: int) -> NoReturn:
    """Print an error, one line or a list, and exit; `GENLAB_DEBUG=1` shows the traceback as well."""
    if os.environ.get("GENLAB_DEBUG"):
        import traceback  # for debugging only

        traceback.print_exc()
    first, *others = message.splitlines() or [""]
    for line in (f"genlab: {first}", *(f"        {line}" for line in others)):
        print(line, file=Printing(sys.stderr))
    sys.exit(code)
