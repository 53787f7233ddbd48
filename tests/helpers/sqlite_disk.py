"""SQLite's own view of a disk: every write it makes, and errors where a test wants them.

A VFS of that name is put around SQLite's default one, through ctypes, in this process only.
"""

import ctypes
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_int64, c_void_p
from pathlib import Path
from typing import Any
from urllib.parse import quote

import attrs
import pytest

NAME = "watched"
_OK = 0


class _Vfs(Structure):
    _fields_ = [  # type: ignore[mutable-override] # as ctypes wants it
        ("iVersion", c_int),
        ("szOsFile", c_int),
        ("mxPathname", c_int),
        ("pNext", c_void_p),
        ("zName", c_char_p),
        ("pAppData", c_void_p),
        ("xOpen", c_void_p),
        ("xDelete", c_void_p),
        ("rest", c_void_p * 16),
    ]


class _Methods(Structure):
    _fields_ = [  # type: ignore[mutable-override] # as ctypes wants it
        ("iVersion", c_int),
        ("xClose", c_void_p),
        ("xRead", c_void_p),
        ("xWrite", c_void_p),
        ("xTruncate", c_void_p),
        ("xSync", c_void_p),
        ("rest", c_void_p * 13),
    ]


class _File(Structure):
    _fields_ = [("pMethods", POINTER(_Methods))]  # type: ignore[mutable-override] # as ctypes wants it


# Names go through as pointers: SQLite keeps them, and reads on behind their end.
_Open = CFUNCTYPE(c_int, c_void_p, c_void_p, POINTER(_File), c_int, POINTER(c_int))
_Delete = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int)
_Write = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
_Truncate = CFUNCTYPE(c_int, c_void_p, c_int64)
_Sync = CFUNCTYPE(c_int, c_void_p, c_int)


@attrs.frozen
class Write:
    """Bytes at an offset of a file, which is known by its suffix: "" or "-wal" or "-journal"."""

    suffix: str
    offset: int
    data: bytes


@attrs.frozen
class Truncate:
    suffix: str
    size: int


@attrs.frozen
class Sync:
    suffix: str


@attrs.frozen
class LostSync:
    """A sync that failed; what it was to make durable may never become so."""

    suffix: str


@attrs.frozen
class Open:
    """Is never in the log; only to be refused."""

    suffix: str


@attrs.frozen
class Delete:
    suffix: str


@attrs.frozen
class Note:
    """Something the test wants to find again between the operations."""

    value: Any


Operation = Write | Truncate | Sync | LostSync | Delete | Note
Refusal = Callable[[Operation | Open], int | None]


@attrs.define(eq=False)
class Disk:
    """What happened to one database and the files beside it, in order."""

    main: Path
    log: list[Operation] = attrs.field(init=False, factory=list)
    refuse: Refusal | None = attrs.field(init=False, default=None)
    """Gives an SQLite result code for an operation that is to fail, and is then not made."""

    def note(self, value: Any) -> None:
        self.log.append(Note(value))

    def judge(self, operation: Operation) -> int | None:
        code = None if self.refuse is None else self.refuse(operation)
        if code is None:
            self.log.append(operation)
        elif isinstance(operation, Sync):
            self.log.append(LostSync(operation.suffix))
        return code


@contextmanager
def watched(main: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    """While it lasts, `sqlite3.connect` of this path goes through a disk that is watched."""
    library = _library()
    disk = Disk(main)
    vfs = _around_default(library, disk)
    assert library.sqlite3_vfs_register(ctypes.byref(vfs), 0) == _OK
    connect: Callable[..., sqlite3.Connection] = sqlite3.connect

    def connect_watched(path: Any, **options: Any) -> sqlite3.Connection:
        if Path(path) != main:
            return connect(path, **options)
        return connect(f"file:{quote(str(path))}?vfs={NAME}", uri=True, **options)

    try:
        with monkeypatch.context() as patch:
            patch.setattr(sqlite3, "connect", connect_watched)
            yield disk
    finally:
        library.sqlite3_vfs_unregister(ctypes.byref(vfs))


def _library() -> Any:
    """The very library that the `sqlite3` module uses; skips where it cannot be had."""
    import _sqlite3

    library: Any = ctypes.CDLL(_sqlite3.__file__)
    if not hasattr(library, "sqlite3_vfs_find"):
        pytest.skip("SQLite is linked in a way that hides its disk interface")
    library.sqlite3_vfs_find.restype = POINTER(_Vfs)
    library.sqlite3_vfs_find.argtypes = [c_char_p]
    return library


_kept: list[Any] = []
"""What a connection that a failed test left open may still call."""


def _around_default(library: Any, disk: Disk) -> _Vfs:
    default = library.sqlite3_vfs_find(None).contents
    vfs = _Vfs.from_buffer_copy(default)
    vfs.zName = NAME.encode()
    vfs.pNext = None
    suffixes: dict[int, str] = {}
    _kept.append(vfs)
    real_open, real_delete = _Open(default.xOpen), _Delete(default.xDelete)

    def suffix_of(name: int | None) -> str | None:
        text = "" if name is None else ctypes.string_at(name).decode()
        return text.removeprefix(str(disk.main)) if text.startswith(str(disk.main)) else None

    def open_(pointer: Any, name: Any, file: Any, flags: Any, out: Any) -> int:
        suffix = suffix_of(name)
        refused = None if suffix is None or disk.refuse is None else disk.refuse(Open(suffix))
        if refused is not None:
            file.contents.pMethods = None
            return refused
        code: int = real_open(pointer, name, file, flags, out)
        if code == _OK and suffix is not None:
            suffixes[ctypes.addressof(file.contents)] = suffix
            methods = _watching(file.contents.pMethods.contents, suffixes, disk)
            file.contents.pMethods = ctypes.pointer(methods)
        return code

    def delete(pointer: Any, name: Any, sync: Any) -> int:
        suffix = suffix_of(name)
        code = disk.judge(Delete(suffix)) if suffix is not None else None
        return real_delete(pointer, name, sync) if code is None else code

    for field, kind, function in (("xOpen", _Open, open_), ("xDelete", _Delete, delete)):
        callback: Any = kind(function)
        _kept.append(callback)
        setattr(vfs, field, ctypes.cast(callback, c_void_p).value)
    return vfs


def _watching(real: _Methods, suffixes: dict[int, str], disk: Disk) -> _Methods:
    methods = _Methods.from_buffer_copy(real)
    real_write, real_truncate = _Write(real.xWrite), _Truncate(real.xTruncate)
    real_sync = _Sync(real.xSync)

    def write(file: int, data: int, size: int, offset: int) -> int:
        operation = Write(suffixes[file], offset, ctypes.string_at(data, size))
        code = disk.judge(operation)
        return real_write(file, data, size, offset) if code is None else code

    def truncate(file: int, size: int) -> int:
        code = disk.judge(Truncate(suffixes[file], size))
        return real_truncate(file, size) if code is None else code

    def sync(file: int, flags: int) -> int:
        code = disk.judge(Sync(suffixes[file]))
        return real_sync(file, flags) if code is None else code

    for field, kind, function in (
        ("xWrite", _Write, write),
        ("xTruncate", _Truncate, truncate),
        ("xSync", _Sync, sync),
    ):
        callback: Any = kind(function)
        _kept.append(callback)
        setattr(methods, field, ctypes.cast(callback, c_void_p).value)
    _kept.append(methods)
    return methods
