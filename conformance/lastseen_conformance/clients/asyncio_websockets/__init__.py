"""The core on asyncio and `websockets`: a session needs neither trio nor any of our adapters."""
