"""A client on asyncio that shares nothing with our core: standard library and `websockets`."""
