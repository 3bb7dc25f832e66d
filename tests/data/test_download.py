"""Downloads from a server of our own that does what real ones do wrong."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import io
import re
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from small_mnist import MnistFiles

from tinyaccel import data
from tinyaccel.data import cache
from tinyaccel.data.cache import alone_in, cache_folder
from tinyaccel.data.display import Bars, Display, Lines, display
from tinyaccel.data.download import RemoteFile, fetch
from tinyaccel.errors import ArgumentError, DataError, SaveError

# The functions have the names of their modules.
cifar10, fashion_mnist, mnist = (
    import_module(f"tinyaccel.data.{name}") for name in ("cifar10", "fashion_mnist", "mnist")
)

BODY = np.random.default_rng(7).bytes(100_000)
SUM = hashlib.sha256(BODY).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves BODY, or what `files` has; the first word of the path says how."""

    asked: ClassVar[list[tuple[str, str | None]]] = []
    files: ClassVar[dict[str, bytes]] = {}
    drops: ClassVar[int] = 0  # how many answers are still to break off

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        way, _, name = self.path[1:].partition("/")
        asked = self.headers.get("Range")
        self.asked.append((way, asked))
        body = self.files.get(name, BODY)
        start = int(re.findall(r"\d+", asked)[0]) if asked and way != "no-range" else 0
        if way.isdecimal():
            self.send_error(int(way))
            return
        if way == "wrong":
            body = body[::-1]
        if start >= len(body):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if way != "no-length":
            self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        rest = body[start:]
        if way in ("drop", "no-range") and Handler.drops:
            Handler.drops -= 1
            rest = rest[: len(rest) // 2]
        self.wfile.write(rest[:30_000])
        if way == "stall":
            time.sleep(0.5)
        with contextlib.suppress(ConnectionError):
            self.wfile.write(rest[30_000:])


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server; each test finds it as if nothing had been asked."""
    monkeypatch.setattr(Handler, "asked", [])
    monkeypatch.setattr(Handler, "files", {})
    monkeypatch.setattr(Handler, "drops", 0)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def get(to: Path, *urls: str, size: int | None = len(BODY), timeout: float = 5.0) -> bytes:
    path = fetch(urls, SUM, to, size=size, progress="quiet", timeout=timeout, pause=0.001)
    assert path == to
    return to.read_bytes()


def ways() -> list[tuple[str, str | None]]:
    return Handler.asked


def test_a_file_is_fetched_once(server: str, tmp_path: Path) -> None:
    """Folders are made; the second time nothing is asked; nothing but the file is left over."""
    to = tmp_path / "a" / "b" / "file"
    assert get(to, f"{server}/ok") == BODY
    assert get(to, f"{server}/ok") == BODY
    assert ways() == [("ok", None)]
    assert sorted(path.name for path in to.parent.iterdir()) == [".lock", "file"]


@pytest.mark.parametrize("way", ["drop", "no-range"])
def test_a_broken_connection_is_made_again(server: str, tmp_path: Path, way: str) -> None:
    """It goes on where it broke, or from the start where the server knows no ranges."""
    Handler.drops = 3
    assert get(tmp_path / "f", f"{server}/{way}") == BODY
    ranges = [asked for _, asked in ways()]
    wanted = [None, "bytes=50000-", "bytes=75000-", "bytes=87500-"]
    assert ranges == (wanted if way == "drop" else [None, *["bytes=50000-"] * 3])


def test_a_later_run_goes_on(server: str, tmp_path: Path) -> None:
    """What broke off for good stays, and the next run asks only for the rest."""
    Handler.drops = 100
    with pytest.raises(
        DataError, match=r"f can't be downloaded \(127.0.0.1:\d+: the connection br"
    ):
        get(tmp_path / "f", f"{server}/no-range")
    assert not (tmp_path / "f").exists()
    assert (tmp_path / "f.part").read_bytes() == BODY[:50_000]
    Handler.asked.clear()
    assert get(tmp_path / "f", f"{server}/ok") == BODY
    assert ways() == [("ok", "bytes=50000-")]


def test_what_there_was_is_of_another_file(server: str, tmp_path: Path) -> None:
    """If the rest doesn't fit what is there, all is fetched again, from the same server."""
    (tmp_path / "f.part").write_bytes(b"x" * 1000)
    assert get(tmp_path / "f", f"{server}/ok") == BODY
    assert ways() == [("ok", "bytes=1000-"), ("ok", None)]
    Handler.asked.clear()
    (tmp_path / "g.part").write_bytes(BODY + b"x")  # longer than the file: the range is refused
    assert get(tmp_path / "g", f"{server}/ok", size=None) == BODY
    assert ways() == [("ok", f"bytes={len(BODY) + 1}-"), ("ok", None)]


def test_all_bytes_were_there(server: str, tmp_path: Path) -> None:
    """A process killed before its last step leaves a file that needs no server."""
    (tmp_path / "f.part").write_bytes(BODY)
    assert get(tmp_path / "f", f"{server}/ok") == BODY
    assert ways() == []


def test_the_next_mirror_is_tried(server: str, tmp_path: Path) -> None:
    """A file that is gone, and one that is wrong, are had from elsewhere; what is wrong goes."""
    urls = [f"{server}/{way}" for way in ("404", "wrong", "ok")]
    assert get(tmp_path / "f", *urls) == BODY
    assert [way for way, _ in ways()] == ["404", "wrong", "ok"]
    assert ways()[-1] == ("ok", None)


def test_a_busy_server_is_asked_again(server: str, tmp_path: Path) -> None:
    """Four times, then the line says what each mirror answered."""
    pattern = (
        r"f can't be downloaded \(127.0.0.1:\d+: HTTP 503 Service Unavailable; 127.0.0.1:\d+: "
        r"wrong checksum: 100000 bytes with SHA-256 [0-9a-f]{12}\.\.\., expected "
        rf"{SUM[:12]}\.\.\.\); check the network and try again, or put the file into .*"
    )
    with pytest.raises(DataError) as caught:
        get(tmp_path / "f", f"{server}/503", f"{server}/wrong")
    assert re.fullmatch(pattern, str(caught.value)), caught.value
    assert [way for way, _ in ways()] == ["503"] * 4 + ["wrong"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock"]


def test_no_network(tmp_path: Path) -> None:
    """Nothing listens, or no such host: one line, at once."""
    with pytest.raises(DataError, match=r"\(no connection to 127.0.0.1:9: [^\[\];]*\); check"):
        get(tmp_path / "f", "http://127.0.0.1:9/f", "http://host.invalid/f")


def test_a_server_that_stalls(server: str, tmp_path: Path) -> None:
    """After the timeout another connection asks for the rest."""
    assert get(tmp_path / "f", f"{server}/stall", timeout=0.2) == BODY
    assert len(ways()) > 1
    assert ways()[1][1] is not None


def test_a_length_isnt_needed(server: str, tmp_path: Path) -> None:
    """A server that doesn't say how much it sends, and a size that nobody knows."""
    assert get(tmp_path / "f", f"{server}/no-length", size=None) == BODY


def test_no_more_than_the_size_is_taken(server: str, tmp_path: Path) -> None:
    """A server that sends without end fills no disk."""
    with pytest.raises(DataError, match=r"wrong checksum: (\d+) bytes") as caught:
        get(tmp_path / "f", f"{server}/no-length", size=10)
    assert int(re.findall(r"(\d+) bytes", str(caught.value))[0]) < len(BODY)


def test_what_isnt_http_is_refused(tmp_path: Path) -> None:
    """An address of a file here is no download."""
    with pytest.raises(ArgumentError, match=r"fetch: 'file:///etc/hosts'; expected an address"):
        fetch(["file:///etc/hosts"], SUM, tmp_path / "f")


def test_a_folder_that_cant_be_written(server: str, tmp_path: Path) -> None:
    """Neither a file in the folder's place, nor one in the part's, is a traceback."""
    (tmp_path / "file").touch()
    with pytest.raises(SaveError, match=r"file can't be written: .*; name another cache with TIN"):
        get(tmp_path / "file" / "f", f"{server}/ok")
    (tmp_path / "f.part").mkdir()
    with pytest.raises(SaveError, match=r"f.part can't be written: Is a directory; free some sp"):
        get(tmp_path / "f", f"{server}/ok", size=None)


def test_two_at_once(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second waits, says so, and finds what the first has fetched."""
    monkeypatch.setattr(cache, "_LOOK_AGAIN", 0.01)
    found: list[bytes] = []

    def second() -> None:
        fetch([f"{server}/ok"], SUM, tmp_path / "f", progress="lines")
        found.append((tmp_path / "f").read_bytes())

    thread = threading.Thread(target=second)
    with alone_in(tmp_path, Display()):
        thread.start()
        time.sleep(0.1)
        assert ways() == []
        (tmp_path / "f").write_bytes(b"by the first")
    thread.join()
    assert found == [b"by the first"]
    said = capsys.readouterr().err
    assert said == f"another process downloads to {tmp_path}; waiting for it\n"


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The environment names it; else it is where the platform keeps such things."""
    monkeypatch.setenv("TINYACCEL_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("TINYACCEL_CACHE")
    monkeypatch.setattr(Path, "home", lambda: Path("home"))
    monkeypatch.setenv("XDG_CACHE_HOME", "xdg")
    monkeypatch.setenv("LOCALAPPDATA", "local")
    for platform, wanted in (
        ("linux", "xdg"), ("darwin", "home/Library/Caches"), ("win32", "local")
    ):  # fmt: skip
        monkeypatch.setattr(sys, "platform", platform)
        assert cache_folder() == Path(wanted) / "tinyaccel"
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path("home/.cache/tinyaccel")


def _remote(server: str, name: str, content: bytes) -> RemoteFile:
    Handler.files[name] = content
    digest = hashlib.sha256(content).hexdigest()
    return RemoteFile(name, len(content), digest, (f"{server}/ok/{name}",))


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache, no folder named, downloads allowed."""
    monkeypatch.delenv("TINYACCEL_DATA", raising=False)
    monkeypatch.delenv("TINYACCEL_OFFLINE")
    monkeypatch.setenv("TINYACCEL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_mnist_comes_from_the_cache(
    server: str,
    online: Path,
    mnist_files: MnistFiles,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Fetched once, with a line about it; a folder that has it comes first, and none is made."""
    names = [path.name for path in mnist_files.folder.iterdir()]
    files = [_remote(server, name, mnist_files.get(name)) for name in names]
    monkeypatch.setattr(mnist, "FILES", files)
    monkeypatch.setenv("TINYACCEL_DATA", str(mnist_files.folder.parent))
    assert len(data.mnist().train) == 7
    assert ways() == []
    assert not online.exists()
    mnist_files.folder.rename(mnist_files.folder.parent / "elsewhere")
    train, test = data.load("mnist")
    assert (len(train), test and len(test)) == (7, 5)
    host = server.removeprefix("http://")
    said = capsys.readouterr().err
    assert said == f"mnist: downloading 0.0 MB from {host} to {online / 'mnist'}\n"
    assert len(ways()) == 4
    monkeypatch.setenv("TINYACCEL_OFFLINE", "1")
    assert len(data.load("mnist", validation_split=0.3).train) == 5
    assert len(data.mnist(download=False).train) == 7
    assert len(ways()) == 4


def test_without_a_download(online: Path, tmp_path: Path) -> None:
    """download=False asks nobody, and says what else to do."""
    with pytest.raises(DataError, match=r"mnist: no folder given; .*, or allow the download"):
        data.mnist(download=False)
    assert not online.exists()


def test_fashion_mnist(
    server: str, online: Path, mnist_files: MnistFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files have MNIST's names, so those of MNIST beside them aren't taken for them."""
    names = [path.name for path in mnist_files.folder.iterdir()]
    monkeypatch.setattr(
        fashion_mnist, "FILES", [_remote(server, n, mnist_files.get(n)) for n in names]
    )
    monkeypatch.setenv("TINYACCEL_DATA", str(mnist_files.folder))
    train, _ = data.fashion_mnist(progress="quiet")
    assert len(ways()) == 4
    assert (train.name, train.classes[8], train.mean) == ("fashion_mnist (train)", "Bag", 0.2860)
    assert np.array_equal(train.x[:, 0], mnist_files.images[7])
    mnist_files.folder.rename(mnist_files.folder.parent / "fashion-mnist")
    monkeypatch.setenv("TINYACCEL_DATA", str(mnist_files.folder.parent))
    assert len(data.fashion_mnist(download=False).train) == 7
    (mnist_files.folder.parent / "fashion-mnist" / names[0]).unlink()
    with pytest.raises(DataError, match=r"fashion_mnist: .* is not in .*fashion-mnist"):
        data.fashion_mnist(download=False)


def _archive(*, evil: bool = False, lacks: str = "") -> bytes:
    """A small CIFAR-10, one image a file; evil: with members that lead elsewhere."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        names = [f"cifar-10-batches-bin/{name}" for name in cifar10._BATCHES if name != lacks]
        for name in [*names, "../evil.bin", "/evil.bin"] if evil else names:
            member = tarfile.TarInfo(name)
            member.size = 3073
            archive.addfile(member, io.BytesIO(bytes([len(name) % 10]) + bytes(3072)))
        if evil:
            link = tarfile.TarInfo("cifar-10-batches-bin/link.bin")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc"
            archive.addfile(link)
    return out.getvalue()


def test_cifar10_is_unpacked(server: str, online: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six files, whatever else the archive has; it is deleted, and isn't fetched again."""
    remote = _remote(server, "cifar.tar.gz", _archive(evil=True))
    monkeypatch.setattr(cifar10, "ARCHIVE", remote)
    for _ in range(2):
        train, test = data.load("cifar10", progress="quiet")
        assert len(train) == 5
        assert test is not None
        assert test.y.tolist() == [len("cifar-10-batches-bin/test_batch.bin") % 10]
    assert len(ways()) == 1
    there = sorted(path.name for path in (online / "cifar10").iterdir())
    assert there == sorted([".lock", *cifar10._BATCHES])
    assert not list(online.parent.rglob("evil.bin"))


@pytest.mark.parametrize(
    "content", [_archive(lacks="data_batch_3.bin"), b"no tar", _archive()[:150]]
)
def test_an_archive_that_isnt_one(
    server: str, online: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    """A member that lacks, and bytes that can't be unpacked, are one line."""
    monkeypatch.setattr(cifar10, "ARCHIVE", _remote(server, "cifar.tar.gz", content))
    with pytest.raises(
        DataError, match=r"cifar10: .*cifar.tar.gz can't be unpacked \(.+\); delete"
    ):
        data.cifar10(progress="quiet")


def test_published_sums() -> None:
    """Four files of each MNIST at two addresses, one archive; sums are whole."""
    files = [*mnist.FILES, *fashion_mnist.FILES, cifar10.ARCHIVE]
    assert len({file.sha256 for file in files}) == 9
    for file in files:
        assert re.fullmatch(r"[0-9a-f]{64}", file.sha256)
        assert all(url.endswith("/" + file.name) for url in file.urls)


def test_real_files_have_the_published_sums(real_data: Path) -> None:
    """Those that are here as they were published hash to what a download is held to."""
    sums = {
        file.name: hashlib.sha256((real_data / "mnist" / file.name).read_bytes()).hexdigest()
        for file in mnist.FILES
        if (real_data / "mnist" / file.name).is_file()
        and (real_data / "mnist" / file.name).stat().st_size == file.size
    }
    if not sums:
        pytest.skip(f"{real_data} has no file of MNIST as it was published")
    assert sums == {file.name: file.sha256 for file in mnist.FILES if file.name in sums}


KINDS: dict[str, tuple[bool, Callable[[Display], bool]]] = {
    "quiet": (True, lambda shown: type(shown) is Display),
    "lines": (True, lambda shown: type(shown) is Lines),
    "json": (True, lambda shown: type(shown) is Lines),
    "bar": (False, lambda shown: type(shown) is Bars),
    "auto": (True, lambda shown: type(shown) is Bars),
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_display(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bar only where it is asked for, or where somebody sits in front of a terminal."""
    pytest.importorskip("rich", reason="bars are drawn by rich")
    is_terminal, wanted = KINDS[kind]
    monkeypatch.setattr("sys.stderr.isatty", lambda: is_terminal)
    assert wanted(display(kind))
    monkeypatch.setattr("sys.stderr.isatty", lambda: False)
    assert type(display("auto")) is Lines


def test_a_bar_is_drawn(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It counts from what was done before, and a message appears beside it."""
    pytest.importorskip("rich", reason="bars are drawn by rich")
    monkeypatch.setenv("FORCE_COLOR", "1")
    shown = Bars()
    with shown.task("fetching", 10, done=4) as advance:
        advance(3)
        shown.message("something else")
        time.sleep(0.15)  # a refresh comes ten times a second
    said = capsys.readouterr().err
    assert "fetching" in said
    assert "7/10" in said
    assert "something else" in said
