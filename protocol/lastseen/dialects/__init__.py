"""One package per wire dialect; each maps frames to the shared mechanisms."""
