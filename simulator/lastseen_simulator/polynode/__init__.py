"""A simulated PolyNode: settlements from pending to confirmed, over one WebSocket."""
