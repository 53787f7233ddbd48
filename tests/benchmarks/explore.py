"""How fast the explorer is: states a second, and its copier against `copy.deepcopy`.

Run with `make bench`. Seconds are of the processor, so that what else runs here counts less.
"""

import copy
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from lastseen.secret import Secret
from lastseen_simulator.explore.clients import CLIENT_COPIER, CLIENT_PRINTS, Client
from lastseen_simulator.explore.oddspapi import CAST, SHOWN_IN
from lastseen_simulator.explore.search import Search
from lastseen_simulator.explore.venues import VENUE_COPIER, VENUE_PRINTS, Venue
from lastseen_simulator.explore.worlds import World

SITUATION = SHOWN_IN["R4"]
EVERY = 20
ROUNDS = 5


def main() -> None:
    """Explores one situation, then copies the machines that came up."""
    # A key does not let itself be stored, which is what `deepcopy` takes a copy for.
    Secret.__deepcopy__ = _kept  # type: ignore[attr-defined]
    world = World(CAST, (SITUATION,))
    search = Search(world)
    search.run()
    progress = search.progress
    print(f"{SITUATION.name}: {progress.states:,} states, {progress.rate:,.0f} states/s")
    kept_clients = world.kept_clients[::EVERY]
    clients: list[Client] = [
        CLIENT_COPIER.copy(kept.host.load(kept.image)) for kept in kept_clients
    ]
    venues: list[Venue] = [kept.machine for kept in world.kept_venues]
    for name, machines, copier in (
        ("client", clients, CLIENT_COPIER),
        ("gateway", venues, VENUE_COPIER),
    ):
        ours, theirs = measure(machines, copier.copy), measure(machines, copy.deepcopy)
        print(f"copy of a {name}: {ours:.0f} µs, {theirs / ours:.1f} x faster than copy.deepcopy")
    loaded = measure(kept_clients, lambda each: each.host.load(each.image))
    print(f"loading a client: {loaded:.0f} µs")
    written = measure(clients, lambda each: CLIENT_PRINTS.of(each, now=each.now))
    print(f"fingerprint of a client: {written:.0f} µs")
    written = measure(venues, lambda each: VENUE_PRINTS.of(each, now=each.now))
    print(f"fingerprint of a gateway: {written:.0f} µs")


def _kept(key: Secret, _: dict[int, Any]) -> Secret:
    return key


def measure(machines: Sequence[Any], act: Callable[[Any], object]) -> float:
    """Microseconds a machine, the median of the rounds."""
    rounds: list[float] = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for machine in machines:
            act(machine)
        rounds.append((time.process_time() - began) / len(machines) * 1e6)
    return statistics.median(rounds)


if __name__ == "__main__":
    main()
