"""INV-L4: nobody resumes from one and the same place for ever, when it leads nowhere."""

from typing import final

import attrs

from lastseen_simulator.world.watching import Watch

__all__ = ["StuckWatch"]


@final
@attrs.define(eq=False, kw_only=True)
class StuckWatch(Watch):
    """Counts the requests to go on from a place between two of which the peer brought nothing."""

    tries_max: int
    place: object = None
    tries: int = 0

    def reborn(self) -> None:
        """Another life has no memory of what led nowhere."""
        self.led()

    def resumes(self, place: object) -> None:
        """The client asks to go on from here."""
        if place != self.place:
            self.place, self.tries = place, 0
        self.tries += 1
        if self.tries > self.tries_max:
            self.blame("L4", f"resumes from the same place for the {self.tries}th time in vain")

    def led(self) -> None:
        """The peer brought something, or a verdict; or the client wanted another connection."""
        self.place, self.tries = None, 0
