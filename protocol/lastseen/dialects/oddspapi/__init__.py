"""OddsPapi v5: JSON control frames, JSON or MessagePack data frames, snapshots by REST."""
