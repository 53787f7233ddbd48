"""Readers of streams that share no code with the project: HTTP/1.1 by hand, and three framings."""

import json
import socket
from collections.abc import Iterator
from typing import Any

__all__ = ["HandClient", "take_apart"]

Record = dict[str, Any]


class HandClient:
    """A request over a socket, and the chunked body of its answer, chunk by chunk."""

    def __init__(
        self, port: int, path: str, body: Record, *, accept: str = "*/*", version: str = "1.1"
    ) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        data = json.dumps(body).encode()
        head = (
            f"POST {path} HTTP/{version}\r\nHost: localhost\r\nAccept: {accept}\r\n"
            f"Content-Length: {len(data)}\r\n\r\n"
        )
        self.socket.sendall(head.encode() + data)
        self._file = self.socket.makefile("rb")
        self.status = self._file.readline().split()[1].decode()
        self.headers: dict[str, str] = {}
        while line := self._file.readline().strip():
            name, _, value = line.decode().partition(":")
            self.headers[name.lower()] = value.strip()

    def chunks(self) -> Iterator[bytes]:
        """Chunk after chunk; raises EOFError when the body is cut."""
        while True:
            line = self._file.readline()
            if not line.endswith(b"\r\n"):
                raise EOFError(line)
            size = int(line, 16)
            data = self._file.read(size + 2)
            if len(data) < size + 2 or not data.endswith(b"\r\n"):
                raise EOFError(data)
            if not size:
                return
            yield data[:-2]

    def rest(self) -> bytes:
        """Whatever comes until the peer ends the connection."""
        return self._file.read()

    def records(self, count: int) -> list[Record]:
        """The first records of the body."""
        body = b""
        for chunk in self.chunks():
            body += chunk
            found = take_apart(body, self.headers["content-type"])
            if len(found) >= count:
                return found[:count]
        return take_apart(body, self.headers["content-type"])

    def close(self) -> None:
        self._file.close()
        self.socket.close()

    def __enter__(self) -> "HandClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def take_apart(body: bytes, content_type: str) -> list[Record]:
    """The whole records of a body; a tail that is none is left alone."""
    records: list[Record] = []
    if content_type == "application/connect+json":
        while len(body) >= 5:
            size = int.from_bytes(body[1:5], "big")
            if len(body) < 5 + size:
                break
            if not body[0] & 2:
                records.append(json.loads(body[5 : 5 + size]))
            body = body[5 + size :]
    elif content_type == "text/event-stream":
        lines: list[bytes] = []
        for line in body.split(b"\n")[:-1]:
            if line.startswith(b"data:"):
                lines.append(line[5:].strip())
            elif not line.strip() and lines:
                records.append(json.loads(b"\n".join(lines)))
                lines = []
    else:
        records = [json.loads(line) for line in body.split(b"\n")[:-1] if line.strip()]
    return records
