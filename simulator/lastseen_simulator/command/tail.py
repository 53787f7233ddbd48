"""`lastseen tail`: follow a feed, keep a replica of it, and say what it proves."""

import ipaddress
import os
import sys
from functools import partial
from math import isnan
from typing import Any, Final

import click
import trio

from lastseen.dialects.oddspapi import DEFAULT_CHANNELS, Subscription
from lastseen.dialects.oddspapi.channels import CHANNELS
from lastseen.errors import ConfigurationError
from lastseen.options import SessionOptions
from lastseen.secret import Secret
from lastseen_simulator.command import CommandError
from lastseen_simulator.command._tail_lines import HumanLines, JsonLines, Lines, ReportLines
from lastseen_simulator.command._tail_run import Plan, follow
from lastseen_simulator.gateway.options import DEMO_KEY
from lastseen_trio.addresses import Address
from lastseen_trio.groups import alone
from lastseen_trio.store import StoreError

__all__ = ["tail"]

EVERY_CHANNEL: Final = "all"
LANGUAGE: Final = "en"
UNUSABLE_STATE: Final = 5


@click.command(
    epilog="""\b
The key comes from LASTSEEN_API_KEY and from nowhere else; a gateway on this machine
is tried with the public demo key when there is none.

\b
--json prints one object a line. Its 'event' is one of
  entry             channel, entity, id, src (live or replay), payload
  snapshot_applied  channel, entity, rows, proof
  status            channel, entity, state, proof
  logged_in         connection, epoch, resumed, denied
  disconnected      connection, failure, code, reason, retry_in_s
  restored          file, epoch, cursors, units; the first, with --state
  committed         epoch, cursors: now in the file with their state
  durability        durable, detail: commits began to fail, or work again
  anomaly           code, channel, detail, count
  stopped           failure, reason
  summary           seconds, units, channels, anomalies; always the last

\b
--report prints what a client under test prints (lastseen.report/1), and reads
'state' and 'stop' from standard input, one a line.

\b
Exit codes:
  0    ended as asked: --until-synced, --for, 'stop' or SIGTERM
  1    ended before what --until-synced waits for, or before the last could be kept
  2    wrong usage
  3    could not log in once
  4    rejected: the key, or what it may see
  5    the --state file cannot be used; another process may hold it
  130  Ctrl-C

\b
Examples:
  lastseen tail ws://127.0.0.1:8765/ws
  lastseen tail ws://127.0.0.1:8765/ws --until-synced --quiet && echo ready
  lastseen tail ws://127.0.0.1:8765/ws --state feed.db
  lastseen tail wss://feed.example/ws --channels odds --fixtures id1000042088112233 --json
""",
)
@click.argument("url", required=False, envvar="LASTSEEN_WS_URL")
@click.option(
    "--dialect",
    type=click.Choice(["oddspapi"]),
    default="oddspapi",
    show_default=True,
    help="What the feed speaks.",
)
@click.option(
    "--rest",
    metavar="URL",
    help="REST base.  [default: $LASTSEEN_HTTP_URL, else host and port of URL]",
)
@click.option(
    "--channels",
    envvar="LASTSEEN_CHANNELS",
    show_envvar=True,
    default=",".join(DEFAULT_CHANNELS),
    show_default=True,
    help=f"Channels, with commas; {EVERY_CHANNEL!r} for every one there is.",
)
@click.option("--sports", help="Sport ids, with commas.  [default: the documented ones]")
@click.option("--fixtures", help="Only these fixtures, with commas.")
@click.option("--futures", help="Only these futures, with commas.")
@click.option("--bookmakers", help="Only these bookmakers, with commas.")
@click.option(
    "--receive-type",
    type=click.Choice(["json", "binary"]),
    default="json",
    show_default=True,
    help="Encoding of data frames.",
)
@click.option(
    "--state",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Keep state and position here, and go on from it after a restart.",
)
@click.option("--json", "as_json", is_flag=True, help="JSON Lines on standard output.")
@click.option("--report", "as_report", is_flag=True, help="The report of a client under test.")
@click.option(
    "--for",
    "duration_s",
    metavar="SECONDS",
    type=click.FloatRange(0, min_open=True),
    help="Stop after so long.",
)
@click.option("--until-synced", is_flag=True, help="Stop once every channel is synced.")
@click.option(
    "--attempts",
    type=click.IntRange(0),
    default=3,
    show_default=True,
    help="First attempts before giving up; 0 never gives up.",
)
@click.option(
    "--connection-limit",
    type=click.IntRange(1),
    default=5,
    show_default=True,
    help="Connections this process may have open at once.",
)
@click.option("--quiet", is_flag=True, help="Say nothing but errors.")
def tail(
    *,
    url: str | None,
    dialect: str,
    rest: str | None,
    channels: str,
    sports: str | None,
    fixtures: str | None,
    futures: str | None,
    bookmakers: str | None,
    receive_type: str,
    state: str | None,
    as_json: bool,
    as_report: bool,
    duration_s: float | None,
    until_synced: bool,
    attempts: int,
    connection_limit: int,
    quiet: bool,
) -> int:
    """Follow a feed: log in, sync, stay synced, and say so.

    URL is the WebSocket's, or LASTSEEN_WS_URL. Until it has logged in once it gives up after some
    --attempts; from then on it comes back after every loss. Ctrl-C ends it with a summary.
    """
    del dialect
    if not url:
        raise click.UsageError("give a URL, or set LASTSEEN_WS_URL")
    if as_json + as_report + quiet > 1:
        raise click.UsageError("only one of --json, --report and --quiet")
    if duration_s is not None and isnan(duration_s):
        raise click.UsageError("--for takes a number of seconds")
    at_terminal = not (as_json or as_report or quiet) and sys.stdout.isatty()
    try:
        address = Address.from_url(url, schemes=("ws", "wss"))
        rest_url = _rest_url(rest)
        options = SessionOptions(
            connection_limit=connection_limit,
            report_discarded=as_report,
            report_commits=state is not None and (as_json or as_report),
        )
        subscription = _subscription(channels, sports, fixtures, futures, bookmakers, receive_type)
    except ConfigurationError as error:
        raise CommandError(str(error), exit_code=2) from error
    plan = Plan(
        subscription=subscription,
        url=url,
        shown_url=str(address),
        rest_url=rest_url,
        key=_key(address),
        options=options,
        lines=_lines(as_json=as_json, as_report=as_report, quiet=quiet),
        table=at_terminal,
        progress=not (as_json or as_report or quiet or at_terminal),
        commands=as_report,
        state=state,
        duration_s=float("inf") if duration_s is None else duration_s,
        until_synced=until_synced,
        attempts=attempts,
    )
    return _run(plan)


def _run(plan: Plan) -> int:
    try:
        return _run_unwrapped(plan)
    except StoreError as error:
        raise CommandError(str(error), exit_code=UNUSABLE_STATE) from error


def _run_unwrapped(plan: Plan) -> int:
    try:
        return trio.run(partial(follow, plan))
    except BaseExceptionGroup as group:
        only = alone(group)
        if only is None:
            raise
        raise only from None


def _lines(*, as_json: bool, as_report: bool, quiet: bool) -> Lines | None:
    if quiet:
        return None
    if as_report:
        return ReportLines()
    return JsonLines() if as_json else HumanLines()


def _subscription(
    channels: str,
    sports: str | None,
    fixtures: str | None,
    futures: str | None,
    bookmakers: str | None,
    receive_type: str,
) -> Subscription:
    filters: dict[str, Any] = {}
    if sports is not None:
        filters["sport_ids"] = _numbers(sports)
    elif fixtures is not None or futures is not None:
        # Named ones need no other selection, and may be of any sport.
        filters["sport_ids"] = ()
    return Subscription(
        channels=_channels(channels),
        fixture_ids=_parts(fixtures or ""),
        future_ids=_parts(futures or ""),
        bookmakers=_parts(bookmakers or ""),
        receive_type=receive_type,
        **filters,
    )


def _channels(text: str) -> tuple[str, ...]:
    return tuple(CHANNELS) if text.strip() == EVERY_CHANNEL else _parts(text)


def _parts(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in _parts(text))
    except ValueError:
        raise ConfigurationError("--sports takes numbers, with commas") from None


def _rest_url(given: str | None) -> str | None:
    """`--rest` as it is; the environment's with the language when it has no path."""
    if given is not None:
        Address.from_url(given, schemes=("http", "https"))
        return given
    url = os.environ.get("LASTSEEN_HTTP_URL")
    if not url:
        return None
    bare = Address.from_url(url, schemes=("http", "https")).path == "/"
    return f"{url.rstrip('/')}/{LANGUAGE}" if bare else url


def _key(address: Address) -> Secret:
    key = os.environ.get("LASTSEEN_API_KEY")
    if key:
        return Secret(key)
    if not _is_loopback(address.host):
        raise CommandError("set LASTSEEN_API_KEY to the key of this feed", exit_code=2)
    return Secret(DEMO_KEY)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
