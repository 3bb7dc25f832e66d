"""Downloads: from mirrors, with a checksum; what broke off goes on where it was."""

from __future__ import annotations

import hashlib
import http
import http.client
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from tinyaccel.data.cache import alone_in
from tinyaccel.data.display import Advance, display
from tinyaccel.errors import ArgumentError, DataError, SaveError

T = TypeVar("T")

_CHUNK = 1 << 16
_TIMEOUT = 30.0  # seconds without a byte
_TRIES = 4  # in a row that bring no new byte
_PAUSE = 1.0  # seconds before the second try; doubled before each further one
_BUSY = (408, 425, 429, 500, 502, 503, 504)  # statuses of servers that may answer later


class RemoteFile(NamedTuple):
    """A file to be had from elsewhere."""

    name: str
    size: int  # bytes
    sha256: str
    urls: tuple[str, ...]  # the same file, the first to be tried first


def fetch(
    urls: Sequence[str], sha256: str, to: str | Path, *, size: int | None = None,
    progress: str = "auto", timeout: float = _TIMEOUT, pause: float = _PAUSE,
) -> Path:  # fmt: skip
    """Download a file, unless it is there, and return its path.

    urls      http or https addresses of the same file; the next is tried where one fails
    sha256    what its bytes must hash to, 64 hexadecimal digits
    to        the path; meanwhile the bytes are in a file beside it, whose name ends in .part
    size      how many bytes it has, if known: for the progress bar, and so that no more are taken
    progress  how it is shown: "auto", "bar", "lines", "quiet"
    timeout   seconds without a byte after which a connection counts as broken
    pause     seconds before a connection that broke is made again; doubled each time

    A connection that breaks is made again, and goes on behind the bytes that are there (a range
    request, RFC 9110 section 14), also in a later run; where the server doesn't do that, or the
    result is wrong, from the start. Two processes don't disturb each other: one waits.

    Raises `DataError` if no address gives the file, with what was wrong with each; `SaveError` if
    it can't be written; `ArgumentError` for addresses of another kind.
    """
    for url in urls:
        if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
            raise ArgumentError(f"fetch: {url!r}; expected an address with http or https")
    target, show = Path(to), display(progress)
    download = _Download(target, sha256, size, timeout, pause)
    with alone_in(target.parent, show):
        if target.is_file():
            return target
        faults: list[_Fault] = []
        for url in urls:
            with show.task(target.name, size, done=download.have(), is_bytes=True) as advance:
                fault = download.try_mirror(url, advance)
            if fault is None:
                return target
            faults.append(_Fault(urllib.parse.urlsplit(url).netloc, fault))
    raise DataError(
        f"{target.name} can't be downloaded ({_told(faults)}); check the network and try "
        f"again, or put the file into {target.parent}"
    )


def fetch_files(name: str, files: Sequence[RemoteFile], folder: Path, show: str) -> None:
    """Download those of `files` that aren't in `folder`; says what, how large, and from where."""
    absent = [file for file in files if not (folder / file.name).is_file()]
    if absent:
        megabytes = sum(file.size for file in absent) / 1e6
        host = urllib.parse.urlsplit(absent[0].urls[0]).netloc
        display(show).message(f"{name}: downloading {megabytes:.1f} MB from {host} to {folder}")
    for file in absent:
        try:
            fetch(file.urls, file.sha256, folder / file.name, size=file.size, progress=show)
        except DataError as error:
            raise DataError(
                f"{name}: {error}, or name a folder that has the data set with --data-dir"
            ) from error


class _Fault(NamedTuple):
    """What is wrong with a mirror."""

    host: str
    what: str


_NO_CONNECTION = "no connection"


def _told(faults: Sequence[_Fault]) -> str:
    """What is wrong with each; of the first alone if none can be reached, which is the network."""
    if all(fault.what.startswith(_NO_CONNECTION) for fault in faults):
        host, what = faults[0]
        return f"{_NO_CONNECTION} to {host}{what.removeprefix(_NO_CONNECTION)}"
    return "; ".join(f"{host}: {what}" for host, what in faults)


class _BrokenError(Exception):
    """A connection that broke, or a server that is busy: worth another try."""


class _RefusedError(Exception):
    """An answer, or its lack, that another try wouldn't change."""

    def __init__(self, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status


def _network(call: Callable[[], T]) -> T:
    """call(), its errors sorted into those that another try may mend, and others."""
    try:
        return call()
    except urllib.error.HTTPError as error:
        error.close()
        text = f"HTTP {error.code} {error.reason}"
        raise (
            _BrokenError(text) if error.code in _BUSY else _RefusedError(text, error.code)
        ) from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError | ConnectionResetError):
            raise _BrokenError(f"no answer ({error.reason})") from error
        why = getattr(error.reason, "strerror", None) or error.reason  # without its number
        raise _RefusedError(f"{_NO_CONNECTION}: {why}") from error
    except TimeoutError as error:
        raise _BrokenError("it stopped sending") from error
    except (ConnectionError, http.client.HTTPException) as error:
        raise _BrokenError(f"the connection broke ({error})") from error
    except OSError as error:
        raise _RefusedError(f"{_NO_CONNECTION}: {error.strerror or error}") from error


class _Download:
    """One file that is on its way; `try_mirror` may be called for one address after another."""

    def __init__(
        self, target: Path, sha256: str, size: int | None, timeout: float, pause: float
    ) -> None:
        self._target, self._sha256, self._size = target, sha256.lower(), size
        self._timeout, self._pause = timeout, pause
        self._part = target.with_name(target.name + ".part")

    def have(self) -> int:
        """Bytes that are there."""
        return self._part.stat().st_size if self._part.exists() else 0

    def try_mirror(self, url: str, advance: Advance) -> str | None:
        """None if the file is in place now; else what is wrong with this mirror."""
        try:
            resumed = self._all_bytes(url, advance)
            fault = self._put_in_place()
            if fault and resumed:  # of an older version of the file, perhaps
                advance(-self._discard())
                self._all_bytes(url, advance)
                fault = self._put_in_place()
            if fault:
                self._discard()
            return fault
        except (_BrokenError, _RefusedError) as error:
            return str(error)
        except OSError as error:  # not the network's, which are caught nearer to it
            raise SaveError(
                f"{self._part} can't be written: {error.strerror}; free some space, or name "
                "another cache with TINYACCEL_CACHE"
            ) from error

    def _all_bytes(self, url: str, advance: Advance) -> bool:
        """Try until the server has sent all; whether some were there before."""
        resumed = self.have() > 0
        most, tries = self.have(), 1
        while True:
            try:
                self._some_bytes(url, advance)
                return resumed
            except _BrokenError:
                if self.have() > most:
                    most, tries = self.have(), 1
                elif tries == _TRIES:
                    raise
                time.sleep(self._pause * 2 ** (tries - 1))
                tries += 1

    def _some_bytes(self, url: str, advance: Advance) -> None:
        """One request; raises _BrokenError if it ended early."""
        have = self.have()
        if self._size is not None and have >= self._size:
            return
        headers = {"User-Agent": "tinyaccel", "Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        request = urllib.request.Request(url, headers=headers)  # noqa: S310 http or https: see fetch
        try:
            answer = _network(lambda: urllib.request.urlopen(request, timeout=self._timeout))  # noqa: S310
        except _RefusedError as error:
            if have and error.status == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                advance(-self._discard())
                raise _BrokenError(str(error)) from error
            raise
        with answer:
            if have and not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
                advance(-self._discard())
                have = 0
                if answer.status == http.HTTPStatus.PARTIAL_CONTENT:
                    raise _BrokenError("it sent another part than asked for")
            length = answer.headers.get("Content-Length", "")
            whole = have + int(length) if length.isdecimal() else self._size
            with self._part.open("ab") as file:
                while block := _network(lambda: answer.read1(_CHUNK)):
                    file.write(block)
                    have += len(block)
                    advance(len(block))
                    if self._size is not None and have > self._size:
                        break  # another file; the checksum says so
        if whole is not None and have < whole:
            raise _BrokenError(f"the connection broke after {have} of {whole} bytes")

    def _put_in_place(self) -> str | None:
        """Rename the part if its checksum is right; else what is wrong."""
        digest = hashlib.sha256()
        with self._part.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        if digest.hexdigest() != self._sha256:
            return (
                f"wrong checksum: {self.have()} bytes with SHA-256 {digest.hexdigest()[:12]}..., "
                f"expected {self._sha256[:12]}..."
            )
        self._part.replace(self._target)
        return None

    def _discard(self) -> int:
        """Delete what is there; how many bytes that were."""
        have = self.have()
        self._part.unlink(missing_ok=True)
        return have
