"""From a .cu text to a shared library: finds the machine's C++ compiler, builds, and caches."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tinyaccel.errors import BackendError, KernelError

_HERE = Path(__file__).parent
_HEADER = "cuda_on_host.h"
_RUNTIME = _HERE / "emulator.cpp"

# The sanitizers make the compiler announce each access and each basic block; none is linked, the
# calls go to emulator.cpp.
# A multiply and an add stay two roundings on every host; a huge frame is an error at build time,
# since a fiber's stack is small.
_KERNEL_FLAGS = [
    *("-std=c++17", "-O1", "-fPIC", "-g1", "-gdwarf-4"),
    *("-fsanitize=thread", "-fsanitize-coverage=trace-pc"),
    *("-fno-exceptions", "-fno-strict-aliasing", "-fwrapv", "-ffp-contract=off"),
    *("-fno-math-errno", "-fvisibility=hidden", "-Werror=frame-larger-than=131072"),
]
# clang leaves out what its own sanitizers can infer: the read in x += 1, a block that a counter
# elsewhere covers. We need each.
_CLANG_FLAGS = [
    *("-mllvm", "-tsan-instrument-read-before-write=1"),
    "-fsanitize-coverage=trace-pc,no-prune",
]
_RUNTIME_FLAGS = ["-std=c++17", "-O2", "-fPIC", "-w", "-fno-exceptions", "-U_FORTIFY_SOURCE"]
_LINK_FLAGS = ["-shared", "-Wl,-Bsymbolic"]


@dataclass(frozen=True)
class Compiler:
    """A C++ compiler: the command that runs it, and what it says of itself."""

    command: tuple[str, ...]
    version: str


def find_compiler() -> Compiler:
    """The C++ compiler of this machine: the one that CXX names, else g++, clang++ or c++.

    Raises `BackendError` where there is none, and says how to get one.
    """
    if sys.platform != "linux":
        raise BackendError(
            f"cuda-sim: CUDA C is emulated on Linux only, not on {sys.platform}; write the kernel "
            "in Numba-CUDA, which is emulated everywhere, or use Linux (WSL, a container)"
        )
    named = os.environ.get("CXX", "").strip()
    for candidate in [named] if named else ["g++", "clang++", "c++"]:
        command = tuple(shlex.split(candidate))
        if shutil.which(command[0]):
            return Compiler(command, _version(command))
    looked = f"CXX={named} is not there" if named else "found neither g++, clang++ nor c++"
    raise BackendError(
        f"cuda-sim: no C++ compiler to run CUDA C on the CPU: {looked}; install one "
        "(apt install g++, dnf install gcc-c++, conda install gxx) or set CXX to yours"
    )


@cache
def _version(command: tuple[str, ...]) -> str:
    return run_tool([*command, "--version"]).stdout


def cache_directory() -> Path:
    """Where built kernels are kept: $TINYACCEL_CACHE, else the user's cache directory.

    Libraries from there are loaded into the process, so a directory that another user could have
    written to is refused in favour of a fresh one.
    """
    chosen = os.environ.get("TINYACCEL_CACHE")
    caches = os.environ.get("XDG_CACHE_HOME")
    usual = (Path(caches) if caches else Path("~/.cache").expanduser()) / "tinyaccel"
    spare = Path(tempfile.gettempdir(), f"tinyaccel-{os.getuid()}")
    for path in (Path(chosen) if chosen else usual, spare):
        folder = path / "cuda-sim"
        with contextlib.suppress(OSError):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = folder.stat()
            private = status.st_uid == os.getuid() and not status.st_mode & 0o022
            if private and os.access(folder, os.W_OK):
                return folder
    return Path(tempfile.mkdtemp(prefix="tinyaccel-"))


def build(text: str, kernel: str, shown: str, include: Path | None) -> Path:
    """The shared library in which `kernel` of the CUDA C `text` can be launched.

    `shown` is the file name for messages, `include` where the file's own #includes are looked up.
    Built once for the same text, compiler and emulator. Raises `KernelError` with the compiler's
    first error, `BackendError` where there is no compiler.
    """
    compiler = find_compiler()
    source = translation_unit(text, kernel, shown)
    flags = [*_KERNEL_FLAGS, f"-I{_HERE}", *([f"-I{include}"] if include else [])]
    if "clang" in compiler.version:
        flags += _CLANG_FLAGS
    key = hashlib.sha256()
    for part in (
        source,
        _preprocessed(compiler, source, flags) if "#include" in text else "",
        _own_text(),
        repr((compiler, flags, _RUNTIME_FLAGS, _LINK_FLAGS, platform.machine())),
    ):
        key.update(hashlib.sha256(part.encode()).digest())
    target = cache_directory() / f"{kernel}-{key.hexdigest()[:20]}.so"
    if not target.exists():
        _build_into(target, source, compiler, flags, kernel)
    return target


def translation_unit(text: str, kernel: str, shown: str) -> str:
    """The C++ text that is compiled for a .cu text: the same lines, with a way in at the end."""
    shown = shown.replace("\\", "/").replace('"', "'")
    return (
        f'#include "{_HEADER}"\n#line 1 "{shown}"\n{host_text(text)}\n'
        '#line 1 "tinyaccel_entry"\n'
        'extern "C" __attribute__((no_sanitize("thread"))) void tinyaccel_entry(void** arguments) '
        f"{{ tinyaccel::call(&{kernel}, arguments); }}\n"
    )


_DYNAMIC = re.compile(
    r"\bextern\s+__shared__\s+([^;{}()]*?(?:\([^()]*\))?[^;{}()]*?\w+\s*\[\s*\])\s*;"
)
_COMMA = re.compile(r",(?![^\[]*\])")  # one that separates names, not an index
_SEVERAL = re.compile(r"\b__shared__\s+((?:\w+\s+)*?\w+)\s+(\w+(?:\s*\[[^\];]*\])*\s*,[^;=]*);")


def host_text(text: str) -> str:
    """A .cu text with its shared declarations in a form that a C++ compiler takes, line by line.

    Two things need it: dynamic shared memory, which becomes another name of the emulator's
    buffer, and several shared arrays in one declaration, which become one declaration each, so
    that each gets a gap before it.
    """
    text = _DYNAMIC.sub(r'extern \1 __asm__("tinyaccel_dynamic_shared");', text)

    def one_each(match: re.Match[str]) -> str:
        kind, names = match.groups()
        return " ".join(f"__shared__ {kind} {name.strip(' ')};" for name in _COMMA.split(names))

    return _SEVERAL.sub(one_each, text)


_SHARED = re.compile(r"\b__shared__\s+[^;={}]*?(\w+)\s*(?:\[[^;]*)?;")


def shared_names(text: str) -> frozenset[str]:
    """The names of the shared variables in a .cu text.

    Their section says the same, but g++ forgets it for those in a template.
    """
    return frozenset(match[1] for match in _SHARED.finditer(host_text(text)))


@cache
def _own_text() -> str:
    return "".join(path.read_text() for path in sorted(_HERE.glob("*.[hc]*")))


def _preprocessed(compiler: Compiler, source: str, flags: list[str]) -> str:
    # The key must change when an included file does; an error here comes again in the build.
    return run_tool([*compiler.command, *flags, "-E", "-x", "c++", "-"], source).stdout


def _build_into(
    target: Path, source: str, compiler: Compiler, flags: list[str], kernel: str
) -> None:
    # Aside and renamed: two processes may build the same kernel, and both end with a whole file.
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="build-") as folder:
        unit, made = Path(folder, "kernel.cpp"), Path(folder, "kernel.o")
        library = Path(folder, "kernel.so")
        unit.write_text(source)
        done = run_tool([*compiler.command, *flags, "-c", str(unit), "-o", str(made)])
        if done.returncode:
            raise KernelError(f"{kernel}: does not compile: {first_error(done.stderr)}")
        runtime = _runtime(target.parent, compiler)
        done = run_tool(
            [*compiler.command, *_LINK_FLAGS, str(made), str(runtime), "-o", str(library)]
        )
        if done.returncode:
            raise KernelError(f"{kernel}: does not link: {first_error(done.stderr)}")
        library.replace(target)


def _runtime(folder: Path, compiler: Compiler) -> Path:
    """emulator.cpp, compiled once for all kernels."""
    key = hashlib.sha256(
        f"{_own_text()}{compiler}{_RUNTIME_FLAGS}{platform.machine()}".encode()
    ).hexdigest()
    target = folder / f"emulator-{key[:20]}.o"
    if not target.exists():
        with tempfile.TemporaryDirectory(dir=folder, prefix="build-") as aside:
            made = Path(aside, target.name)
            done = run_tool(
                [*compiler.command, *_RUNTIME_FLAGS, "-c", str(_RUNTIME), "-o", str(made)]
            )
            if done.returncode:
                raise BackendError(
                    f"cuda-sim: {compiler.command[0]} can't build the emulator: "
                    f"{first_error(done.stderr)}; it takes a C++17 compiler (g++ 9, clang++ 10)"
                )
            made.replace(target)
    return target


def run_tool(command: Sequence[str], text: str | None = None) -> subprocess.CompletedProcess[str]:
    """A development tool, run with `text` as its input; in English, for first_error()."""
    return subprocess.run(  # noqa: S603  # the user's own compiler and binutils, no shell
        command,
        input=text,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LC_ALL": "C"},
    )


def first_error(output: str) -> str:
    """The first error in a compiler's output, or its first line."""
    lines = [line for line in output.splitlines() if line.strip()]
    for line in lines:
        if "error:" in line or "undefined reference" in line:
            return re.sub(r"\b(fatal )?error: ", "", line, count=1)
    return lines[0] if lines else "the compiler gave no reason"
