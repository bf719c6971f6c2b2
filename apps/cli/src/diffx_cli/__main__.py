"""The program `diffx`: one command line in, one exit code out.

This is the only place that turns errors into lines on stderr and exit codes; every other part
raises.
"""

import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from diffx_cli.line.console import complain, say
from diffx_cli.line.interrupting import INTERRUPTED, interruptible
from diffx_core.errors import ConfigError, DiffxError, PluginError

INTERNAL = 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line.

    Args:
        argv: the arguments without the program's name; those of the process if None.

    Returns:
        the exit code: 0, or the `exit_code` of the error.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        with interruptible():
            _dispatch(arguments)
    except DiffxError as error:
        _report(arguments, *error.problems)
        return error.exit_code
    except KeyboardInterrupt:
        _report(arguments, "interrupted")
        return INTERRUPTED
    except SystemExit as error:
        _report(arguments, f"a component called sys.exit({error.code!r}) (--debug shows where)")
        return PluginError.exit_code
    except BrokenPipeError:
        return 0
    except Exception as error:  # noqa: BLE001 - the last resort of the program
        hint = "" if "--debug" in arguments else " (--debug shows where)"
        _report(arguments, f"internal error: {type(error).__name__}: {error}{hint}")
        return INTERNAL
    return 0


def _dispatch(arguments: Sequence[str]) -> None:
    from diffx_cli.commands import COMMANDS
    from diffx_cli.line.grammar import parse

    call = parse(arguments, COMMANDS)
    if call.wants == "version":
        from diffx_cli.line.help import version

        say(version())
    elif call.command is None or call.wants == "help":
        from diffx_cli.line.help import command_help, general_help
        from diffx_core.plugins.registry import Registry

        registry = Registry.load()
        if call.command is None:
            say(general_help(COMMANDS, registry))
        else:
            say(command_help(call.command, call.options, registry))
    else:
        _check_working_folder()
        from diffx_cli.line.blame import blaming
        from diffx_cli.line.fence import plan
        from diffx_cli.line.heeding import heed
        from diffx_cli.line.resolve import resolve
        from diffx_core.plugins.registry import Registry

        planned = plan(COMMANDS, call.command.name, call.options)
        request = resolve(call.command, planned.options, Registry.load())
        heed()
        with blaming(request.labels()):
            call.command.run(request)


def _check_working_folder() -> None:
    try:
        Path.cwd()
    except FileNotFoundError as error:  # libraries end the program without a word of it
        raise ConfigError("the folder in which diffx was started is gone: cd to another") from error


def _report(arguments: Sequence[str], *problems: str) -> None:
    if "--debug" in arguments:
        complain(traceback.format_exc())
    for problem in problems:
        complain(f"diffx: error: {' '.join(problem.split())[:2000]}")


if __name__ == "__main__":
    sys.exit(main())
