"""The Polymarket US gateway: streams over HTTP, their snapshots and tokens, and what goes wrong.

Where to look: `market` is what happens, `wire` how it is written down, `asking` who may ask for
what, `sessions` one stream, `core` the machine, `truth` the oracle.
"""
