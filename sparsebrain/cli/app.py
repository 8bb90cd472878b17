"""The commands by name, and what is the same for all of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from sparsebrain.cli import comparisons, connectomes, settings, studies
from sparsebrain.cli.doctor import doctor
from sparsebrain.experiments.command_options import BadValueError, name_of

NAME = "sparsebrain"

COMMANDS: dict[str, Callable[..., None]] = {
    "compare": comparisons.compare,
    "reproduce": comparisons.reproduce,
    "error-diffusion": comparisons.error_diffusion,
    "song": studies.song,
    "rewiring": studies.rewiring,
    "features": studies.features,
    "digits-stdp": studies.digits_stdp,
    "one-shot": studies.one_shot,
    "reward": studies.reward,
    "wiring": studies.wiring,
    "pipeline": studies.pipeline,
    "generate": connectomes.generate,
    "measure": connectomes.measure,
    "doctor": doctor,
}

app = typer.Typer(
    name=NAME,
    help="Neural layers on the graphs of brains, and experiments with them.",
    add_completion=False,
)


class Command(TyperCommand):
    """A command whose help contains lists from tables, such as ``{rules}``."""

    def format_help(self, *arguments: Any) -> None:
        """Write the help with the lists from the tables."""
        from sparsebrain.experiments.help_texts import fill  # noqa: PLC0415

        parts: list[Any] = [self, *self.params]
        for each in parts:
            if text := getattr(each, "help", None):
                each.help = fill(text)
        super().format_help(*arguments)

    def invoke(self, ctx: Any) -> Any:
        """Run the command, and report a wrong option by its name on the command line."""
        from_file = settings.fill(ctx)
        try:
            return super().invoke(ctx)
        except (ValueError, TypeError) as error:
            from sparsebrain.experiments.options import OptionError  # noqa: PLC0415

            if isinstance(error, OptionError):
                params: list[Any] = list(self.params)
                for param in params:
                    if param.name == error.option:
                        raise BadValueError(error.told(name_of(param))) from None
            if (named := re.match(r"\w+", str(error))) and named[0] in from_file:
                raise BadValueError(f"{error} in {ctx.params[settings.OPTION]}") from None
            raise


def _show_version(wanted: bool) -> None:
    if wanted:
        print(version("sparsebrain"))
        raise typer.Exit


@app.callback()
def _commands(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    pass


for _name, _function in COMMANDS.items():
    app.command(name=_name, cls=Command)(_function)
