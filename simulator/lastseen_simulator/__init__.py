"""A local gateway that speaks the feeds' dialects and misbehaves on purpose."""
