"""`lastseen tail`: follow a feed, keep a replica of it, and say what it proves."""

import ipaddress
import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from math import isnan
from typing import Any, Final

import attrs
import click
import trio
from click.core import ParameterSource

from lastseen.errors import ConfigurationError
from lastseen.secret import Secret
from lastseen_simulator import demo_keys
from lastseen_simulator.command import CommandError
from lastseen_simulator.command._tail_given import Given
from lastseen_simulator.command._tail_lines import JsonLines, Lines, ReportLines
from lastseen_simulator.command._tail_run import Plan, follow
from lastseen_simulator.command._tail_view import Source
from lastseen_trio.addresses import Address
from lastseen_trio.groups import alone
from lastseen_trio.store import StoreError

__all__ = ["tail"]

UNUSABLE_STATE: Final = 5


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
    if as_json:
        return JsonLines()
    from lastseen_simulator.command._tail_words import HumanLines

    return HumanLines()


def _key(address: Address, demo_key: str) -> Secret:
    key = os.environ.get("LASTSEEN_API_KEY")
    if key:
        return Secret(key)
    if not _is_loopback(address.host):
        raise CommandError("set LASTSEEN_API_KEY to the key of this feed", exit_code=2)
    return Secret(demo_key)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@attrs.frozen(kw_only=True)
class _Dialect:
    module: str
    """Its `source` makes a source of what is given; imported for a tail of this dialect only."""
    demo_key: str
    channels: str
    """What is asked for unless it is said."""
    own: frozenset[str]
    """The options that mean something to it, and not to all."""
    schemes: tuple[str, ...] = ("ws", "wss")

    def source(self, given: Given) -> Source:
        make: Callable[[Given], Source] = import_module(self.module).source
        return make(given)


_DIALECTS: Final[Mapping[str, _Dialect]] = {
    "oddspapi": _Dialect(
        module="lastseen_simulator.command._tail_positions",
        demo_key=demo_keys.ODDSPAPI,
        channels="fixtures,scores,odds,bookmakers",
        own=frozenset(
            {"rest", "sports", "fixtures", "futures", "bookmakers", "receive_type", "state"}
            | {"until_synced", "connection_limit"}
        ),
    ),
    "polynode": _Dialect(
        module="lastseen_simulator.command._tail_histories",
        demo_key=demo_keys.POLYNODE,
        channels="settlements",
        own=frozenset({"wallets", "slugs", "tokens", "compress", "plan", "pending_timeout_s"}),
    ),
    "polymarket-us": _Dialect(
        module="lastseen_simulator.command._tail_streams",
        demo_key=demo_keys.POLYMARKET_US,
        channels="orders",
        own=frozenset({"account", "symbols", "token_url", "client_id", "state", "until_synced"}),
        schemes=("http", "https"),
    ),
}


@click.command(
    epilog="""\b
The key comes from LASTSEEN_API_KEY and from nowhere else; a gateway on this machine
is tried with the public demo key when there is none.

\b
--json prints one object a line. Its 'event' is one of
  entry             channel, entity, id, src (live, replay or history), payload
  snapshot_applied  channel, entity, rows, proof
  status            channel, entity, state, proof
  logged_in         connection, epoch, resumed, denied
  disconnected      connection, failure, code, reason, retry_in_s
  restored          file, epoch, cursors, units; the first, with --state. Streams
                    whose place is a token are named by tokens
  committed         epoch, cursors, tokens: now in the file with their state
  durability        durable, detail: commits began to fail, or work again
  queued            budget, ahead: the account allows no more now
  subscribed        subscription, id, warnings
  subscribe_refused subscription, code, message
  history_applied   subscription, events, new
  item              key, state (pending, timed_out or confirmed), before, cause,
                    waited_s, detected_at_ms, latency_ms
  gap               since_ms, until_ms, reason, subscription
  anomaly           code, channel, detail, count
  stopped           failure, reason
  summary           seconds, anomalies and what there is; always the last

\b
--report prints what a client under test prints (lastseen.report/1), and reads
'state' and 'stop' from standard input, one a line. It keeps its state in
LASTSEEN_STATE_DIR and takes timers and LASTSEEN_ACCOUNT from the environment, as a
harness sets them.

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
  lastseen tail ws://127.0.0.1:8765/ws --dialect polynode --slugs demo-market
  lastseen tail http://127.0.0.1:8765 --dialect polymarket-us --channels orders
""",
)
@click.argument("url", required=False, envvar="LASTSEEN_WS_URL")
@click.option(
    "--dialect",
    type=click.Choice(tuple(_DIALECTS)),
    envvar="LASTSEEN_DIALECT",
    default="oddspapi",
    show_default=True,
    help="What the feed speaks.",
)
@click.option(
    "--channels",
    envvar="LASTSEEN_CHANNELS",
    show_envvar=True,
    help=(
        "Channels, with commas; 'all' for every one there is. For polynode, presets; "
        f"for polymarket-us, one stream.  [default: {_DIALECTS['oddspapi'].channels}; "
        + "; ".join(f"{name}: {_DIALECTS[name].channels}" for name in ("polynode", "polymarket-us"))
        + "]"
    ),
)
@click.option(
    "--rest",
    metavar="URL",
    help="oddspapi: REST base.  [default: $LASTSEEN_HTTP_URL, else host and port of URL]",
)
@click.option("--sports", help="oddspapi: sport ids, with commas.  [default: the documented ones]")
@click.option("--fixtures", help="oddspapi: only these fixtures, with commas.")
@click.option("--futures", help="oddspapi: only these futures, with commas.")
@click.option("--bookmakers", help="oddspapi: only these bookmakers, with commas.")
@click.option(
    "--receive-type",
    type=click.Choice(["json", "binary"]),
    default="json",
    show_default=True,
    help="oddspapi: encoding of data frames.",
)
@click.option(
    "--state",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Not for polynode: keep state and position here, and go on from it after a restart.",
)
@click.option(
    "--until-synced", is_flag=True, help="Not for polynode: stop once every channel is synced."
)
@click.option(
    "--connection-limit",
    type=click.IntRange(1),
    default=5,
    show_default=True,
    help="oddspapi: connections this process may have open at once.",
)
@click.option("--wallets", help="polynode: only what concerns these wallets, with commas.")
@click.option("--slugs", help="polynode: only these markets, by slug, with commas.")
@click.option("--tokens", help="polynode: only these tokens, with commas.")
@click.option(
    "--compress", is_flag=True, help="polynode: ask for live events as deflated binary frames."
)
@click.option(
    "--plan",
    metavar="NAME",
    default="free",
    show_default=True,
    help="polynode: the plan of the key, which says how far histories reach.",
)
@click.option(
    "--pending-timeout",
    "pending_timeout_s",
    metavar="SECONDS",
    type=click.FloatRange(0, min_open=True),
    default=15.0,
    show_default=True,
    help="polynode: how long a pending item may wait for its outcome.",
)
@click.option("--account", help="polymarket-us: whose orders, positions and trades.")
@click.option("--symbols", help="polymarket-us: only these instruments, with commas.")
@click.option(
    "--token-url",
    metavar="URL",
    help="polymarket-us: get bearer tokens here; LASTSEEN_API_KEY is then the client's secret.",
)
@click.option(
    "--client-id", default="lastseen", show_default=True, help="polymarket-us: with --token-url."
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
@click.option(
    "--attempts",
    type=click.IntRange(0),
    default=3,
    show_default=True,
    help="First attempts before giving up; 0 never gives up, as --report does.",
)
@click.option("--quiet", is_flag=True, help="Say nothing but errors.")
@click.pass_context
def tail(
    context: click.Context,
    /,
    *,
    url: str | None,
    dialect: str,
    channels: str | None,
    as_json: bool,
    as_report: bool,
    duration_s: float | None,
    until_synced: bool,
    attempts: int,
    quiet: bool,
    **options: Any,
) -> int:
    """Follow a feed: log in, catch up, stay current, and say what that proves.

    URL is the WebSocket's, or LASTSEEN_WS_URL; of a stream over HTTP, scheme, host and port, or
    LASTSEEN_HTTP_URL. Until it has logged in once it gives up after some
    --attempts; from then on it comes back after every loss. Ctrl-C ends it with a summary.
    """
    kind = _DIALECTS[dialect]
    if "http" in kind.schemes and url == os.environ.get("LASTSEEN_WS_URL"):
        url = os.environ.get("LASTSEEN_HTTP_URL")
    if not url:
        variable = "LASTSEEN_HTTP_URL" if "http" in kind.schemes else "LASTSEEN_WS_URL"
        raise click.UsageError(f"give a URL, or set {variable}")
    if as_json + as_report + quiet > 1:
        raise click.UsageError("only one of --json, --report and --quiet")
    if duration_s is not None and isnan(duration_s):
        raise click.UsageError("--for takes a number of seconds")
    _check_options(context, dialect)
    if as_report and context.get_parameter_source("attempts") is ParameterSource.DEFAULT:
        attempts = 0
    at_terminal = not (as_json or as_report or quiet) and sys.stdout.isatty()
    try:
        address = Address.from_url(url, schemes=kind.schemes)
        key = _key(address, kind.demo_key)
        source = kind.source(
            Given(
                url=url,
                key=key,
                channels=channels or kind.channels,
                as_report=as_report,
                told=as_json or as_report,
                options=options,
            )
        )
    except ConfigurationError as error:
        raise CommandError(str(error), exit_code=2) from error
    plan = Plan(
        source=source,
        shown_url=str(address),
        key=key,
        lines=_lines(as_json=as_json, as_report=as_report, quiet=quiet),
        table=at_terminal,
        progress=not (as_json or as_report or quiet or at_terminal),
        commands=as_report,
        duration_s=float("inf") if duration_s is None else duration_s,
        until_synced=until_synced,
        attempts=attempts,
    )
    return _run(plan)


def _check_options(context: click.Context, dialect: str) -> None:
    """Refuses options that mean something to another dialect only."""
    for name, kind in _DIALECTS.items():
        for parameter in context.command.params:
            typed = context.get_parameter_source(parameter.name or "")
            foreign = parameter.name in kind.own and parameter.name not in _DIALECTS[dialect].own
            if foreign and typed is ParameterSource.COMMANDLINE:
                option = parameter.opts[0]
                raise click.UsageError(f"{option} is for --dialect {name}, not for {dialect}")
