"""`lastseen gateway`: the simulated feed on a local port."""

import errno
import ipaddress
import signal
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import attrs
import click
import trio
from click.core import ParameterSource

from lastseen_simulator.command import CommandError
from lastseen_simulator.command._knobs import knob_lines
from lastseen_simulator.command.happenings import (
    TruthFile,
    follow,
    human_line,
    json_line,
    write_line,
)
from lastseen_simulator.dialects import DEFAULT, GATEWAYS, AnyOptions
from lastseen_simulator.faults import Fault, FaultFileError, load_faults
from lastseen_simulator.gateway.options import SERVED_CHANNELS
from lastseen_simulator.knobs import KnobError, knobs_in, parse_knobs
from lastseen_simulator.profiles import profiles_of
from lastseen_simulator.server import GatewayServer, open_gateway

__all__ = ["gateway"]

DEFAULT_PORT: Final = 8765


@attrs.frozen(kw_only=True)
class _Plan:
    """Everything the command line said."""

    dialect: str
    options: AnyOptions
    faults: tuple[Fault, ...]
    host: str
    port: int
    seed: int
    as_json: bool
    quiet: bool
    truth: str | None
    shown_key: str


@click.command(
    epilog="""\b
Examples:
  lastseen gateway                              a well-behaved feed on port 8765
  lastseen gateway --port 0 --faults hostile    a free port, and trouble
  lastseen gateway --json --faults faults.toml --truth truth.jsonl
  lastseen gateway --knob resume_complete=late --knob null_heads=true
  lastseen gateway --knobs                      everything that --knob can set
  lastseen gateway --dialect polynode           settlements from pending to confirmed
  lastseen gateway --dialect polymarket-us      orders and books, streamed over HTTP
""",
)
@click.option(
    "--dialect",
    type=click.Choice(tuple(GATEWAYS)),
    default=DEFAULT,
    show_default=True,
    help="Which feed to play.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=DEFAULT_PORT,
    show_default=True,
    help="TCP port; 0 takes a free one.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--allow-remote", is_flag=True, help="Let --host be more than this machine.")
@click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same feed.")
@click.option(
    "--rate",
    type=click.FloatRange(0, 100_000),
    default=20.0,
    show_default="20; 4 for the others",
    help="Entries per second, or settlements; 0 for none.",
)
@click.option(
    "--fixtures",
    type=click.IntRange(1, 10_000),
    default=6,
    show_default=True,
    help="Fixtures on offer at a time.",
)
@click.option(
    "--futures",
    type=click.IntRange(0, 10_000),
    default=2,
    show_default=True,
    help="Futures on offer at a time.",
)
@click.option(
    "--channels",
    default=",".join(SERVED_CHANNELS),
    show_default="all",
    help="Channels to serve at all, with commas.",
)
@click.option("--faults", metavar="FILE|PROFILE", help="A TOML file of faults, or a named set.")
@click.option("--as-of", is_flag=True, help="Let REST answers say what they cover (X-As-Of).")
@click.option(
    "--resume-window-ms",
    type=click.IntRange(0),
    default=60_000,
    show_default=True,
    help="How old a cursor may be.",
)
@click.option(
    "--replay-channels",
    default="fixtures,scores",
    show_default=True,
    help="Channels that can be replayed, with commas; empty for none.",
)
@click.option(
    "--replay-order",
    type=click.Choice(["before_live", "interleaved"]),
    default="before_live",
    show_default=True,
    help="Whether live entries may mix with replayed ones.",
)
@click.option(
    "--knob",
    "settings",
    metavar="NAME=VALUE",
    multiple=True,
    help="Set anything --knobs lists; may be repeated.",
)
@click.option(
    "--knobs",
    is_flag=True,
    help="List the knobs of the dialect with defaults and meanings.",
)
@click.option(
    "--key",
    envvar="LASTSEEN_API_KEY",
    show_envvar=True,
    help="The one API key to accept.  [default: a public demo key]",
)
@click.option("--truth", metavar="FILE", help="Write everything that happens as JSON Lines.")
@click.option("--json", "as_json", is_flag=True, help="JSON Lines on stdout, 'ready' first.")
@click.option("--quiet", is_flag=True, help="Say nothing but errors.")
def gateway(
    *,
    dialect: str,
    host: str,
    port: int,
    allow_remote: bool,
    seed: int,
    faults: str | None,
    key: str | None,
    truth: str | None,
    as_json: bool,
    quiet: bool,
    settings: tuple[str, ...],
    knobs: bool,
    **flags: Any,
) -> int:
    """Run a local gateway: WebSocket, REST and a control API on one port.

    It needs no flags: the demo key opens it, the market moves, and nothing goes wrong until you ask
    for it with --faults. Stop it with Ctrl-C.
    """
    if knobs:
        click.echo("\n".join(knob_lines(knobs_in(GATEWAYS[dialect].options))))
        return 0
    _check_host(host, allow_remote=allow_remote)
    demo_key = GATEWAYS[dialect].demo_key
    plan = _Plan(
        dialect=dialect,
        options=_options(dialect, key, settings, flags),
        faults=_read_faults(faults, dialect),
        host=host,
        port=port,
        seed=seed,
        as_json=as_json,
        quiet=quiet,
        truth=truth,
        shown_key=demo_key if key in (None, "", demo_key) else "***",
    )
    try:
        return trio.run(partial(_serve, plan))
    except ExceptionGroup as group:
        if not (found := _leaves(group)) or group.split(OSError)[1] is not None:
            raise
        # The port was given up for a fault and somebody else took it.
        raise CommandError(_bind_trouble(plan, found[0]), exit_code=3) from group


def _options(
    dialect: str, key: str | None, settings: tuple[str, ...], flags: Mapping[str, Any]
) -> AnyOptions:
    """The options; a flag is a knob of the same name, so nobody may say both."""
    context = click.get_current_context()
    kind = GATEWAYS[dialect]
    said = {
        name: value
        for name, value in flags.items()
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT
    }
    for name in ("replay_channels", "channels"):
        if name in said:
            said[name] = _names(said[name])
    try:
        known = {each.name for each in knobs_in(kind.options)}
        for name in said:
            if name not in known:
                raise KnobError(f"{dialect} has no --{name.replace('_', '-')}")
        values = parse_knobs(kind.options, settings)
        for name in said:
            if name in values:
                raise KnobError(f"{name} is set twice: --{name.replace('_', '-')} and --knob")
        values |= said
        return kind.options(keys=(kind.grant(key=key or kind.demo_key),), **values)
    except ValueError as error:
        raise CommandError(str(error), exit_code=2) from error


def _names(text: str) -> tuple[str, ...]:
    return tuple(part for part in text.split(",") if part)


def _check_host(host: str, *, allow_remote: bool) -> None:
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    if local:
        return
    if not allow_remote:
        refusal = f"{host} is reachable from other machines; add --allow-remote if you mean it"
        raise CommandError(refusal, exit_code=2)
    click.echo(
        f"lastseen: warning: listening on {host}: anybody who reaches it can control this gateway",
        err=True,
    )


def _read_faults(name: str | None, dialect: str) -> tuple[Fault, ...]:
    if name is None:
        return ()
    profiles = profiles_of(dialect)
    if name in profiles:
        # A file of the same name is ./NAME; a directory called "release" must not get in the way.
        return profiles[name]
    try:
        return load_faults(Path(name).read_text(encoding="utf-8"), dialect)
    except FileNotFoundError:
        names = ", ".join(sorted(profiles))
        trouble = f"--faults {name}: neither a file nor a profile (profiles: {names})"
    except OSError as error:
        trouble = f"--faults {name}: {error.strerror}"
    except UnicodeDecodeError:
        trouble = f"{name}: not UTF-8"
    except FaultFileError as error:
        trouble = f"{name}:{error}"
    raise CommandError(trouble, exit_code=2)


async def _serve(plan: _Plan) -> int:
    truth = _open_truth(plan.truth)
    async with AsyncExitStack() as stack:
        if truth is not None:
            stack.callback(truth.close)
        try:
            server = await stack.enter_async_context(
                open_gateway(
                    plan.options, host=plan.host, port=plan.port, seed=plan.seed, faults=plan.faults
                )
            )
        except OSError as error:
            raise CommandError(_bind_trouble(plan, error), exit_code=3) from error
        return await _until_told(plan, server, truth)
    raise AssertionError("unreachable")


async def _until_told(plan: _Plan, server: GatewayServer, truth: TruthFile | None) -> int:
    """Reports until a signal comes: Ctrl-C is 130, a request to end is 0."""
    line = None if plan.quiet else json_line if plan.as_json else human_line
    number: int | None = None
    trouble: list[OSError] = []
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        _announce(plan, server)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(partial(follow, server, line=line, truth=truth))
                number = await anext(signals)
                nursery.cancel_scope.cancel()
        except* OSError as group:
            trouble.extend(_leaves(group))
    if trouble:
        raise CommandError(f"cannot write {plan.truth}: {trouble[0].strerror}", exit_code=1)
    return 130 if number == signal.SIGINT else 0


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[OSError]:
    found: list[OSError] = []
    for each in group.exceptions:
        if isinstance(each, BaseExceptionGroup):
            found.extend(_leaves(cast("BaseExceptionGroup[BaseException]", each)))
        elif isinstance(each, OSError):
            found.append(each)
    return found


def _open_truth(path: str | None) -> TruthFile | None:
    if path is None:
        return None
    try:
        return TruthFile(path)
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}", exit_code=2) from error


def _bind_trouble(plan: _Plan, error: OSError) -> str:
    where = f"{plan.host}:{plan.port}"
    if error.errno == errno.EADDRINUSE:
        return f"{where} is in use; choose another --port, or --port 0 for a free one"
    return f"cannot listen on {where}: {error.strerror or error}"


def _announce(plan: _Plan, server: GatewayServer) -> None:
    rest = {"rest_url": server.rest_url} if plan.dialect == "oddspapi" else {}
    socket = {} if plan.dialect == "polymarket-us" else {"ws_url": server.ws_url}
    ready = {
        "event": "ready",
        "dialect": plan.dialect,
        "port": server.port,
        **socket,
        "http_url": server.http_url,
        **rest,
        "control_url": server.control_url,
        "key": plan.shown_key,
        "seed": plan.seed,
    }
    if plan.as_json:
        write_line(json_line(ready))
    elif not plan.quiet:
        write_line(_banner(plan, server))


def _banner(plan: _Plan, server: GatewayServer) -> str:
    demo_key = GATEWAYS[plan.dialect].demo_key
    public = plan.shown_key == demo_key
    key = demo_key if public else "$LASTSEEN_API_KEY"
    prefix = f"LASTSEEN_API_KEY={demo_key} " if public else ""
    count, rate = len(plan.faults), plan.options.rate
    faults = f"{count or 'no'} fault{'' if count == 1 else 's'}"
    where, url, look = _ways_in(plan.dialect, server, key)
    return "\n".join(
        [
            f"lastseen gateway: {plan.dialect}, seed {plan.seed}, {rate:g}/s, {faults}",
            *where,
            f"  control    {server.control_url}",
            f"  key        {plan.shown_key}{' (public, for demonstrations)' if public else ''}",
            "",
            "In another terminal:",
            f"  {prefix}lastseen tail --dialect {plan.dialect} {url}",
            look,
            f"  curl -X POST {server.control_url}/restart",
            "",
            "Ctrl-C stops it.",
        ]
    )


def _ways_in(dialect: str, server: GatewayServer, key: str) -> tuple[list[str], str, str]:
    """Where clients go, the URL that `tail` takes, and a command that shows something at once."""
    socket = f"  WebSocket  {server.ws_url}"
    if dialect == "polymarket-us":
        look = f"  curl -N -X POST {server.http_url}/v1/orders/subscribe -d '{{}}'"
        return [f"  streams    {server.http_url}/v1/…/subscribe"], server.http_url, look
    if dialect == "polynode":
        return [socket], server.ws_url, f"  curl {server.control_url}/truth/state"
    look = f'  curl "{server.rest_url}/fixtures?sportId=10&apiKey={key}"'
    return [socket, f"  REST       {server.rest_url}"], server.ws_url, look
