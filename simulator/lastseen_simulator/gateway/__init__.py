"""The simulated OddsPapi gateway: a pure state machine that shares the wire with clients."""
