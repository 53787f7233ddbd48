"""The `lastseen` command: a group whose subcommands are imported only when they are called."""

import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Final

try:
    import click
except ModuleNotFoundError:
    sys.stderr.write(
        "lastseen: the command needs click; install it with: pip install 'lastseen[simulator]'\n"
    )
    raise SystemExit(2) from None

import attrs

__all__ = ["CommandError", "LazyGroup", "Subcommand", "main"]

EXTRAS: Final[Mapping[str, str]] = {
    "trio": "simulator",
    "trio_websocket": "simulator",
    "h11": "simulator",
    "wsproto": "simulator",
    "click": "simulator",
    "rich": "simulator",
    "jinja2": "conformance",
}
"""Modules that a bare install lacks, and the extra that brings them."""


@attrs.frozen(kw_only=True)
class Subcommand:
    """A command that is imported only when it is called."""

    target: str
    """Its module and its name there, with a colon between them."""
    help: str


SUBCOMMANDS: Final[Mapping[str, Subcommand]] = {
    "demo": Subcommand(
        target="lastseen_simulator.command.demo:demo",
        help="Watch a client survive a hostile gateway, with a verdict.",
    ),
    "gateway": Subcommand(
        target="lastseen_simulator.command.gateway:gateway",
        help="Run a local gateway that misbehaves on purpose.",
    ),
    "explore": Subcommand(
        target="lastseen_simulator.command.explore:explore",
        help="Look at every state a client can get into, within bounds.",
    ),
    "conformance": Subcommand(
        target="lastseen_conformance.command:conformance",
        help="Find out which rules a client breaks.",
    ),
    "simulate": Subcommand(
        target="lastseen_simulator.command.simulate:simulate",
        help="Play seeded runs of the world in a box, judged step by step.",
    ),
    "tail": Subcommand(
        target="lastseen_simulator.command.tail:tail",
        help="Follow a feed and say what it proves.",
    ),
}


class CommandError(click.ClickException):
    """Something the user should hear in one line, with the exit code it ends the command with."""

    def __init__(self, message: str, *, exit_code: int) -> None:
        super().__init__(message)
        self.code = exit_code


class LazyGroup(click.Group):
    """A group that lists the commands of a table without importing them, after its own."""

    def __init__(self, *args: Any, lazy: Mapping[str, Subcommand], **more: Any) -> None:
        super().__init__(*args, **more)
        self.lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Its own, then the table's in their order."""
        return [*super().list_commands(ctx), *self.lazy]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name; a `CommandError` says which extra it lacks."""
        known = self.lazy.get(cmd_name)
        if known is None:
            return super().get_command(ctx, cmd_name)
        module_name, _, name = known.target.partition(":")
        try:
            command = getattr(import_module(module_name), name)
        except ModuleNotFoundError as error:
            if (told := _missing(cmd_name, module_name, error.name or "")) is None:
                raise
            raise told from error
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Names and what they are for, without importing anything."""
        del ctx
        own = {name: self.commands[name].get_short_help_str(100) for name in sorted(self.commands)}
        rows = own | {name: each.help for name, each in self.lazy.items()}
        with formatter.section("Commands"):
            formatter.write_dl(list(rows.items()))


class _Main(LazyGroup):
    """The outermost group, which never shows a traceback."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        extra["windows_expand_args"] = windows_expand_args
        prog_name = prog_name or "lastseen"
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, False, **extra)
        try:
            result = super().main(args, prog_name, complete_var, False, **extra)
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            sys.exit(2)
        except click.UsageError as error:
            path = error.ctx.command_path if error.ctx is not None else "lastseen"
            _complain(f"{error.format_message().rstrip('.')} (see '{path} --help')")
            sys.exit(2)
        except CommandError as error:
            _complain(error.format_message())
            sys.exit(error.code)
        except click.ClickException as error:
            _complain(error.format_message())
            sys.exit(error.exit_code)
        except (click.Abort, KeyboardInterrupt):
            sys.exit(130)
        except BrokenPipeError:
            # Whoever read our output has gone; a flush at exit would complain about it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        sys.exit(result if isinstance(result, int) else 0)


def _missing(command: str, module: str, missing: str) -> CommandError | None:
    """What to say when `missing` cannot be imported; None when that is no fault of the install."""
    if missing == module:
        return CommandError(f"'{command}' is not part of this installation", exit_code=2)
    extra = EXTRAS.get(missing.partition(".")[0])
    if extra is None:
        return None
    needed = f"'{command}' needs {missing}; install it with: pip install 'lastseen[{extra}]'"
    return CommandError(needed, exit_code=2)


def _complain(message: str) -> None:
    click.echo(f"lastseen: {_one_line(message)}", err=True)


def _one_line(message: str) -> str:
    return " ".join(message.split())


@click.group(
    cls=_Main,
    lazy=SUBCOMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Exit codes:
  0    fine
  1    a failure, or a verdict that says so
  2    wrong usage, a bad file, a missing extra
  3    nobody there, or a port that cannot be had
  4    rejected: the key, or what it may see
  130  Ctrl-C
""",
)
@click.version_option(package_name="lastseen", message="lastseen %(version)s")
def main() -> None:
    """Resumable realtime feeds: clients that are never silently wrong, and ways to prove it."""
