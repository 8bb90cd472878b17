"""Run a command, and turn what went wrong into one line and a status."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

import typer

from sparsebrain.cli.app import NAME, app
from sparsebrain.experiments.command_options import BadValueError

_INTERRUPTED = 130
_LONGEST = 1000
# The module of UsageError differs between typer with its own copy of click and older releases.
_USAGE_ERROR: Any = typer.BadParameter.__base__


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit.

    The exit status is 2, after one line on stderr, if the user can fix the problem, and 128 plus
    the number of the signal if SIGINT, SIGTERM or SIGHUP stopped the command.

    Args:
        arguments: Arguments of the command line; None for those of the process.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    with _stopped_by_signals() as signals:
        try:
            status = app(args=arguments or ["--help"], standalone_mode=False, prog_name=NAME)
        except BadValueError as error:
            _fail(error.format_message())
        except _USAGE_ERROR as error:
            command = error.ctx.command_path if error.ctx else NAME
            _fail(f"{error.format_message().rstrip('.')}; see {command} --help")
        except (KeyboardInterrupt, typer.Abort):
            status = _INTERRUPTED
        except Exception as error:
            if signals:
                # For example, workers that received the same signal are missing.
                status = _INTERRUPTED
            elif isinstance(error, ValueError | TypeError | OSError):
                _fail(str(error))
            elif isinstance(error, MemoryError):
                _fail(f"not enough memory: {error}")
            else:
                raise
    if status == _INTERRUPTED:
        # Newer releases of typer return this status instead of raising.
        print("stopped; finished runs are kept, and the same command continues", file=sys.stderr)
        status = 128 + signals[0] if signals else _INTERRUPTED
    sys.exit(status or 0)


@contextlib.contextmanager
def _stopped_by_signals() -> Iterator[list[int]]:
    """Let SIGTERM and SIGHUP stop the block as SIGINT does, and yield those that arrived."""
    arrived: list[int] = []

    def stop(number: int, _: object) -> None:
        arrived.append(number)
        raise KeyboardInterrupt

    with contextlib.ExitStack() as stack:
        names = [each for each in ("SIGTERM", "SIGHUP") if hasattr(signal, each)]
        for number in (getattr(signal, each) for each in names):
            # Python takes handlers in its main thread only, and nohup ignores SIGHUP.
            is_default = signal.getsignal(number) is signal.SIG_DFL
            if is_default and threading.current_thread() is threading.main_thread():
                stack.callback(signal.signal, number, signal.signal(number, stop))
        yield arrived


def _fail(message: str) -> None:
    told = " ".join(message.split())
    if len(told) > _LONGEST:
        # The problem is described at the beginning, and the remedy at the end.
        told = f"{told[: _LONGEST // 2]} ... {told[-_LONGEST // 2 :]}"
    print(f"{NAME}: {told}", file=sys.stderr)
    sys.exit(2)
