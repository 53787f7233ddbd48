"""The gateway is killed and another one comes up in its place; nobody helps the clients."""

import random
import sys
from functools import partial

import pytest
from processes import GatewayProcess, TailProcess, eventually, gateway_process, tail_process

from lastseen_simulator.gateway.core import Gateway, GatewayOptions
from lastseen_simulator.verdict import compare

CHANNELS = ("fixtures", "scores", "odds", "bookmakers")
SPORTS = (10, 11, 12)
LIVE_ENTRIES = 20
FIRST_SEED = 1
LATER_SEEDS = (1, 2, 2)
"""Also a gateway of the same seed is another life, whose market begins anew."""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


def arguments(seed: int) -> tuple[str, ...]:
    return ("--rate", "60", "--fixtures", "3", "--seed", str(seed))


def meet(tail: TailProcess, gateway: GatewayProcess) -> None:
    """Waits until the client follows this gateway and calls everything synced."""
    epoch = gateway.ask("health")["epoch"]

    def follows() -> bool:
        applied = [event for event in list(tail.said) if event.get("epoch") == epoch]
        return len(applied) >= LIVE_ENTRIES and tail.synced(CHANNELS)

    eventually("the client follows the gateway", follows)


def claims_nothing(tail: TailProcess) -> bool:
    return "synced" not in tail.claims.values()


def judge(tail: TailProcess, gateway: GatewayProcess) -> None:
    """Waits until the client's state is the truth; the market has to stand still."""

    def agrees() -> bool:
        truth = gateway.truth_state(CHANNELS, SPORTS)
        verdicts = compare(tail.state(), truth, CHANNELS)
        return tail.synced(CHANNELS) and all(verdict.equal for verdict in verdicts)

    eventually("the client's state is the truth", agrees)


def test_clients_survive_gateways_killed_three_times_in_a_row() -> None:
    sports = ("--sports", ",".join(map(str, SPORTS)))
    with (
        gateway_process(*arguments(FIRST_SEED)) as gateway,
        tail_process(gateway.ready["ws_url"], *sports) as text,
        tail_process(gateway.ready["ws_url"], *sports, "--receive-type", "binary") as binary,
    ):
        for tail in (text, binary):
            meet(tail, gateway)
        port = gateway.port
        gateway.kill()
        for seed in LATER_SEEDS:
            for tail in (text, binary):
                eventually("no claim is left", partial(claims_nothing, tail))
            with gateway_process(*arguments(seed), port=port) as successor:
                for tail in (text, binary):
                    meet(tail, successor)
                successor.ask("pause", {})
                for tail in (text, binary):
                    judge(tail, successor)
                successor.kill()

        for tail in (text, binary):
            assert tail.process.poll() is None
            assert len(tail.epochs()) == 1 + len(LATER_SEEDS)


def test_a_gateway_of_the_same_seed_started_later_has_another_epoch() -> None:
    def epoch(wall_ms: int) -> str | None:
        gateway = Gateway(GatewayOptions(), rng=random.Random(7), wall_ms_at_zero=wall_ms)
        gateway.handle_deadline(now=0.0)
        return gateway.epoch

    assert epoch(1_790_000_000_000) == epoch(1_790_000_000_000)
    assert epoch(1_790_000_000_000) != epoch(1_790_000_000_001)
