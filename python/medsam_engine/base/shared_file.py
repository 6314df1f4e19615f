# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Files that others may rename, remove and lock while they are open: POSIX has no other kind, Windows has to be asked.

Kinds and locks are those of the library (cpp/src/platform/file_*.cpp), so that its runs and the package's keep clear of
each other's files.
"""

import os
import sys
from enum import Enum, auto

if sys.platform == "win32":
    import ctypes
    import msvcrt
    from ctypes import wintypes

    _KERNEL = ctypes.WinDLL("kernel32", use_last_error=True)
    _READ_WRITE = 0xC0000000  # GENERIC_READ | GENERIC_WRITE
    _SHARE_ALL = 7  # FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE
    _CREATE_NEW, _OPEN_ALWAYS = 1, 4
    _NO_LINK = 0x00200080  # FILE_FLAG_OPEN_REPARSE_POINT | FILE_ATTRIBUTE_NORMAL
    _AT_ONCE = 3  # LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY
    _BEHIND_THE_END = 0x40000000  # OffsetHigh of a byte that no file has, since a lock keeps others from its bytes
    _TAKEN = (33, 997)  # ERROR_LOCK_VIOLATION, ERROR_IO_PENDING

    class _Overlapped(ctypes.Structure):
        _fields_ = (
            ("internal", ctypes.c_void_p),
            ("internal_high", ctypes.c_void_p),
            ("offset", wintypes.DWORD),
            ("offset_high", wintypes.DWORD),
            ("event", wintypes.HANDLE),
        )

    _KERNEL.CreateFileW.restype = wintypes.HANDLE
    _KERNEL.CreateFileW.argtypes = (
        *(wintypes.LPCWSTR, wintypes.DWORD, wintypes.DWORD, ctypes.c_void_p),
        *(wintypes.DWORD, wintypes.DWORD, wintypes.HANDLE),
    )
    _KERNEL.LockFileEx.argtypes = (*(wintypes.HANDLE, *(wintypes.DWORD,) * 4), ctypes.POINTER(_Overlapped))
else:
    import fcntl


class Lock(Enum):
    """What became of the wish for a lock."""

    TAKEN = auto()  # until the file is closed, by its process or with it
    ELSEWHERE = auto()
    NONE = auto()  # the file system has none


def open_shared(path: str | os.PathLike[str], new: bool) -> int:
    """A descriptor to read and write a file, made if it is absent, private to the user; no link is followed. OSError.

    Args:
        path: the file.
        new: it must not be there yet (FileExistsError).
    """
    if sys.platform == "win32":
        how = _CREATE_NEW if new else _OPEN_ALWAYS
        handle = _KERNEL.CreateFileW(os.fspath(path), _READ_WRITE, _SHARE_ALL, None, how, _NO_LINK, None)
        if handle == wintypes.HANDLE(-1).value:
            raise ctypes.WinError(ctypes.get_last_error())
        return msvcrt.open_osfhandle(handle, os.O_RDWR | os.O_BINARY | os.O_NOINHERIT)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | (os.O_EXCL if new else 0), 0o600)


def try_lock(descriptor: int) -> Lock:
    """Takes the lock of an open file, or says why not; nothing waits."""
    if sys.platform == "win32":
        at = _Overlapped(offset_high=_BEHIND_THE_END)
        if _KERNEL.LockFileEx(msvcrt.get_osfhandle(descriptor), _AT_ONCE, 0, 1, 0, ctypes.byref(at)):
            return Lock.TAKEN
        return Lock.ELSEWHERE if ctypes.get_last_error() in _TAKEN else Lock.NONE
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return Lock.ELSEWHERE
    except OSError:
        return Lock.NONE
    return Lock.TAKEN
