"""How a request is judged: faults first, then who asks, how often, what for, and for how much."""

from collections.abc import Iterable, Mapping
from typing import Final

import attrs

from lastseen_simulator.effects import HttpRequest, HttpResponse
from lastseen_simulator.faults import Fault
from lastseen_simulator.mischief import Mischief, Placed
from lastseen_simulator.polymarket_us.access import Desk
from lastseen_simulator.polymarket_us.asking import read_asked
from lastseen_simulator.polymarket_us.channels import (
    HEALTH_PATH,
    TOKEN_PATH,
    Channel,
    channel_at,
)
from lastseen_simulator.polymarket_us.connections import Connection, Grant
from lastseen_simulator.polymarket_us.journal import UNKNOWN, Journal, Loss
from lastseen_simulator.polymarket_us.options import PolymarketUSOptions
from lastseen_simulator.polymarket_us.refusals import answer, refusal
from lastseen_simulator.strikes import Strikes, concerns_response, html_page

__all__ = ["Opening", "let_go"]

_MARKS: Final = frozenset({"content_type", "refuse_token", "delta_first", "no_snapshot"})
"""Faults at a request that change how its stream begins, and nothing about any other answer."""

_EXHAUSTED: Final = 8
_TOO_MANY: Final = "too many concurrent streams"


@attrs.define(eq=False)
class Opening:
    """Answers requests, and grants streams."""

    options: PolymarketUSOptions
    desk: Desk
    journal: Journal
    mischief: Mischief
    strikes: Strikes

    def judge(
        self, http: HttpRequest, channel: Channel, others: Iterable[Connection], *, now: float
    ) -> Grant | HttpResponse:
        """A stream, or why not."""
        response, marks = self._strike(http, now)
        verdict = response or self._judged(http, channel, others, marks, now)
        if isinstance(verdict, HttpResponse):
            let_go(marks, "the request was refused")
            return verdict
        return attrs.evolve(verdict, marks=marks)

    def answer(self, http: HttpRequest, *, wall_ms: int, now: float) -> HttpResponse:
        """What is no stream: the token endpoint, health, or nothing there."""
        response, marks = self._strike(http, now)
        let_go(marks, "no stream was asked for")
        if response is not None:
            return response
        stream = channel_at(http.path)
        method = "GET" if http.path == HEALTH_PATH else "POST"
        if stream is None and http.path not in (TOKEN_PATH, HEALTH_PATH):
            return refusal(404, "not found")
        if http.method != method:
            return refusal(405, f"{http.path} takes {method}", ("Allow", method))
        if http.path == HEALTH_PATH:
            return answer(200, {"status": "ok"})
        return self.desk.give_token(http, wall_ms=wall_ms, now=now)

    def _judged(
        self,
        http: HttpRequest,
        channel: Channel,
        others: Iterable[Connection],
        marks: dict[str, Placed],
        now: float,
    ) -> Grant | HttpResponse:
        client = self.desk.recognise(http, now=now)
        if isinstance(client, HttpResponse):
            return client
        if not self.desk.within_rate(client, now=now):
            return refusal(429, "rate limit exceeded")
        asked = read_asked(http, channel, self.options)
        if isinstance(asked, HttpResponse):
            return asked
        asked = self.desk.admit(http, client, asked)
        if isinstance(asked, HttpResponse):
            return asked
        running = (each.grant.client for each in others if each.grant.refused is None)
        if self.desk.is_full(client, running):
            if self.options.full == "status":
                return refusal(429, _TOO_MANY)
            return Grant(asked=asked, client=client, refused=(_EXHAUSTED, _TOO_MANY))
        resumes = self.options.has_tokens(channel)
        if asked.token is None or not resumes or self.options.refused_token == "error":
            return Grant(asked=asked, client=client)
        loss = self.journal.since(channel.name, asked.token, now=now)
        if (placed := marks.pop("refuse_token", None)) is not None:
            loss = UNKNOWN
            self._fired(placed, http, "refused the token", now)
        if isinstance(loss, Loss):
            return refusal(400, loss.message, code=loss.code)
        return Grant(asked=asked, client=client)

    def _strike(
        self, http: HttpRequest, now: float
    ) -> tuple[HttpResponse | None, dict[str, Placed]]:
        """Performs the faults at a request; those that mark a stream are for later."""
        response: HttpResponse | None = None
        marks: dict[str, Placed] = {}
        stream = channel_at(http.path)
        path = http.path if stream is None else stream.path
        for placed in self.mischief.on_request(path, now=now):
            if not concerns_response(placed.fault):
                self.strikes.strike(placed, None, now)
            elif placed.fault.kind not in _MARKS:
                response, detail = _changed(placed.fault)
                self._fired(placed, http, detail, now)
            elif placed.fault.kind in marks:
                let_go({"": placed}, "another fault of this kind struck the same request")
            else:
                marks[placed.fault.kind] = placed
        return response, marks

    def _fired(self, placed: Placed, http: HttpRequest, detail: str, now: float) -> None:
        self.strikes.fired(placed, f"{http.path}: {detail}", now)


def let_go(marks: Mapping[str, Placed], why: str) -> None:
    """Lets faults strike later that could not strike here."""
    for placed in marks.values():
        placed.claimed -= 1
        placed.miss(why)


def _changed(fault: Fault) -> tuple[HttpResponse, str]:
    match fault.kind:
        case "status":
            status = fault.status or 503
            code = fault.code if isinstance(fault.code, int) else None
            message = fault.message or f"status {status}"
            after = fault.retry_after_s
            headers = () if after is None else (("Retry-After", str(after)),)
            return refusal(status, message, *headers, code=code), f"answered {status}"
        case "stall":
            return HttpResponse(status=200, headers=(), body=b"", silent=True), "no answer"
        case _:
            return html_page(), "answered HTML"
