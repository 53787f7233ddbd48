"""`lastseen conformance`: point it at a client, in any language."""

import fnmatch
import os
import signal
import sys
import uuid
from collections.abc import Awaitable, Callable, Mapping
from datetime import date
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, Final, TypeVar

import attrs
import click
import msgspec
import trio

from lastseen_conformance.case import Case
from lastseen_conformance.cases import CASES
from lastseen_conformance.dialects import DIALECTS
from lastseen_conformance.drivers.process import leftovers
from lastseen_conformance.drivers.sockets import Target
from lastseen_conformance.known import Known, KnownFileError, load_known
from lastseen_conformance.reports.files import annotations, junit, results_json
from lastseen_conformance.reports.outcome import RunOutcome, outcome_of
from lastseen_conformance.reports.terminal import Terminal
from lastseen_conformance.rules import RULES
from lastseen_conformance.suite import SuiteRun, run_suite
from lastseen_conformance.timers import PATIENCE_S
from lastseen_simulator.command import CommandError, LazyGroup, Subcommand
from lastseen_trio.groups import alone

__all__ = ["conformance"]

MANUAL_PATIENCE_S: Final = 60.0

JOBS: Final = min(16, 3 * (os.cpu_count() or 1))
"""Three a processor: most of a case is waiting. What a busy machine may have caused is repeated."""

_T = TypeVar("_T")

_dialect = click.option(
    "--dialect",
    type=click.Choice(sorted(DIALECTS)),
    default="oddspapi",
    show_default=True,
    help="What the client speaks.",
)
_json = click.option("--json", "as_json", is_flag=True, help="JSON on stdout, for programs.")
_case = click.option(
    "--case", "patterns", multiple=True, metavar="GLOB", help="Only cases of such ids; repeatable."
)


_LAZY: Final[Mapping[str, Subcommand]] = {
    "zoo": Subcommand(
        target="lastseen_conformance.zoo.command:zoo",
        help="Show that the suite tells broken clients from good ones.",
    )
}


@click.group(cls=LazyGroup, lazy=_LAZY)
def conformance() -> None:
    """Find out which rules a client breaks, whatever it is written in."""


@conformance.command(
    "list",
    epilog="""\b
--json prints one object a case: id, template, title, dialect, rules, hazards.

\b
Example:
  lastseen conformance list --dialect polynode --case '*/items/*'
""",
)
@click.option("--dialect", type=click.Choice(sorted(DIALECTS)), help="Only this one.")
@_case
@_json
def list_(dialect: str | None, patterns: tuple[str, ...], as_json: bool) -> int:
    """List the cases, with a line each."""
    cases = _chosen(dialect, patterns)
    for case in cases:
        if as_json:
            names = ("id", "template", "title", "dialect", "rules", "hazards")
            _print_json({name: getattr(case, name) for name in names})
        else:
            click.echo(f"{case.id:<60} {case.title}")
    templates = len({case.template for case in cases})
    click.echo(f"{len(cases)} cases of {templates} templates", err=True)
    return 0


@conformance.command()
@click.argument("case_id", metavar="CASE")
def show(case_id: str) -> int:
    """Show a case: what it is for, and the rules it puts to the test."""
    case = CASES.get(case_id)
    if case is None:
        raise CommandError(f"no such case: {case_id}", exit_code=2)
    click.echo(f"{case.id}\n  {case.title}")
    if case.play.__doc__:
        click.echo(f"  {' '.join(case.play.__doc__.split())}")
    if case.hazards:
        click.echo(f"  hazards: {', '.join(case.hazards)}")
    if case.knobs:
        click.echo("  knobs: " + ", ".join(f"{name}={value}" for name, value in case.knobs.items()))
    for name in case.rules:
        rule = RULES[name]
        click.echo(f"  {rule.keyword.value} {rule.id} [{rule.source}]\n    {rule.text}")
    return 0


@conformance.command(
    context_settings={"ignore_unknown_options": False},
    epilog="""\b
The client finds in its environment LASTSEEN_WS_URL, LASTSEEN_HTTP_URL,
LASTSEEN_API_KEY, LASTSEEN_CHANNELS and LASTSEEN_STATE_DIR. When it prints a report
(lastseen.report/1), more can be judged.

\b
Exit codes:
  0  every required rule holds
  1  a rule is broken, or a list of known failures is out of date
  2  something could not be decided, or nothing ran
  3  the client could not be run

\b
--json prints what results.json of --report holds: schema, command, mode, seconds,
exit_code, counts by verdict, and for each case its verdict and broken rules.

\b
Examples:
  lastseen conformance run -- node client.js
  lastseen conformance run --case 'oddspapi/resume/*' --jobs 4 -- ./client
""",
)
@_dialect
@_case
@click.option(
    "--jobs",
    type=click.IntRange(1),
    default=JOBS,
    show_default="three a processor",
    help="Side by side.",
)
@click.option(
    "--mode",
    type=click.Choice(["auto", "url", "reported"]),
    default="auto",
    show_default=True,
    help="Judge the wire only, or the client's report too.",
)
@click.option(
    "--report",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write results.json, junit.xml and report.html there.",
)
@click.option("--known-failing", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE")
@click.option("--known-flaky", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE")
@click.option(
    "--patience",
    type=click.FloatRange(0.5),
    metavar="SECONDS",
    help=f"How long the client may take for what it owes.  [default: {PATIENCE_S:g}]",
)
@click.option("--url-argument", is_flag=True, help="Append the WebSocket's URL to the command.")
@click.option("--manual", is_flag=True, help="Print the URL and wait for a client started by hand.")
@click.option("--quiet", is_flag=True, help="Only the summary.")
@_json
@click.argument("command", nargs=-1)
def run(
    dialect: str,
    patterns: tuple[str, ...],
    jobs: int,
    mode: str,
    folder: Path | None,
    known_failing: Path | None,
    known_flaky: Path | None,
    patience: float | None,
    url_argument: bool,
    manual: bool,
    quiet: bool,
    as_json: bool,
    command: tuple[str, ...],
) -> int:
    """Run cases against COMMAND, or against a client that a person starts."""
    if bool(command) == manual:
        raise click.UsageError("give a command after --, or --manual")
    failing, flaky = _known(known_failing), _known(known_flaky)
    cases = _chosen(dialect, patterns)
    if not cases:
        raise CommandError(f"no case of {dialect} is called {' or '.join(patterns)}", exit_code=2)
    mark = uuid.uuid4().hex
    target = Target(
        command=command,
        reported=mode == "reported",
        url_argument=url_argument,
        mark=mark,
        launcher=_announce if manual else None,
    )
    at_terminal = sys.stderr.isatty()
    terminal = Terminal(
        say=_say_nothing if as_json else click.echo,
        progress=_progress if at_terminal else lambda _: None,
        command=command,
        quiet=quiet,
    )
    done = _played(
        partial(
            run_suite,
            cases,
            target,
            mode="url" if manual else mode,
            jobs=1 if manual else jobs,
            patience_s=patience or (MANUAL_PATIENCE_S if manual else PATIENCE_S),
            watch=terminal.watch,
            doubt=terminal.doubt,
        ),
        mark,
    )
    outcome = outcome_of(
        done.results,
        failing=failing,
        flaky=flaky,
        cases=tuple(CASES),
        today=date.today(),
    )
    terminal.summary(done, outcome)
    if as_json:
        click.echo(results_json(done, outcome, command))
    if folder is not None:
        _write(folder, done, outcome, command)
        click.echo(f"written to {folder}", err=as_json)
    if os.environ.get("GITHUB_ACTIONS") == "true" and not as_json:
        for line in annotations(done, outcome):
            click.echo(line)
    return outcome.exit_code


def _write(folder: Path, done: SuiteRun, outcome: RunOutcome, command: tuple[str, ...]) -> None:
    # Most runs draw nothing, and need no templates.
    from lastseen_conformance.reports.page import report_page

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(results_json(done, outcome, command), "utf-8")
    (folder / "junit.xml").write_text(junit(done, outcome), "utf-8")
    (folder / "report.html").write_text(report_page(done, outcome, command), "utf-8")


@conformance.command(
    epilog="""\b
--json prints one object a check: good, level (missing or hint), text.

\b
Example:
  lastseen conformance validate --dialect polynode -- node client.js
""",
)
@_dialect
@click.option("--url-argument", is_flag=True, help="Append the WebSocket's URL to the command.")
@_json
@click.argument("command", nargs=-1, required=True)
def validate(dialect: str, url_argument: bool, as_json: bool, command: tuple[str, ...]) -> int:
    """Check the plumbing of a client: its environment, its report, how it ends."""
    from lastseen_conformance.validate import validate_client

    target = Target(
        command=command, reported=True, url_argument=url_argument, mark=uuid.uuid4().hex
    )
    checks = _played(partial(validate_client, dialect, target), target.mark)
    for check in checks:
        if as_json:
            _print_json(attrs.asdict(check))
            continue
        click.echo(f"{'ok' if check.good else check.level:<8} {check.text}")
    return 1 if any(not check.good and check.level == "missing" for check in checks) else 0


def _chosen(dialect: str | None, patterns: tuple[str, ...]) -> list[Case]:
    return [
        case
        for case in CASES.values()
        if (dialect is None or case.dialect == dialect)
        and (not patterns or any(fnmatch.fnmatchcase(case.id, each) for each in patterns))
    ]


def _known(path: Path | None) -> Mapping[str, Known]:
    if path is None:
        return {}
    try:
        return load_known(path)
    except KnownFileError as error:
        raise CommandError(str(error), exit_code=2) from error


_SHOWN: Final = (
    "LASTSEEN_WS_URL",
    "LASTSEEN_HTTP_URL",
    "LASTSEEN_API_KEY",
    "LASTSEEN_CHANNELS",
    "LASTSEEN_ACCOUNT",
)


def _announce(environment: Mapping[str, str]) -> None:
    click.echo(f"start the client now: {environment['LASTSEEN_CASE']}", err=True)
    for name in _SHOWN:
        if name in environment:
            click.echo(f"  {name}={environment[name]}", err=True)


def _say_nothing(_text: str) -> None:
    """What people read is not for programs."""


def _print_json(members: dict[str, Any]) -> None:
    click.echo(msgspec.json.encode(members).decode())


def _progress(text: str) -> None:
    sys.stderr.write(f"\r\x1b[K{text}")
    sys.stderr.flush()


def _played(main: Callable[[], Awaitable[_T]], mark: str) -> _T:
    """Runs it to the end, or to SIGTERM or Ctrl-C; no client outlives it either way."""
    before = signal.signal(signal.SIGTERM, _as_interrupt)
    try:
        return trio.run(main)
    except BaseExceptionGroup as group:
        # Ctrl-C comes out of nurseries in groups.
        only = alone(group)
        if only is None:
            raise
        raise only from None
    finally:
        signal.signal(signal.SIGTERM, before)
        _bury(mark)


def _as_interrupt(_signal: int, _frame: FrameType | None) -> None:
    signal.raise_signal(signal.SIGINT)


def _bury(mark: str) -> None:
    """Kills what a client has started and moved out of its process group."""
    for pid in leftovers(f"LASTSEEN_RUN={mark}"):
        click.echo(f"a process of the client was left behind and is killed: {pid}", err=True)
        try:
            os.kill(pid, 9)
        except ProcessLookupError:
            continue
