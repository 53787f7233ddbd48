"""Thin trio adapters around the lastseen core: sockets, clocks, stores."""
