"""The command line: what each command prints, and one line for everything that is wrong."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import tinyaccel as ta
from tinyaccel.cli import devices, main
from tinyaccel.cli.devices import survey
from tinyaccel.cli.measure import Speed
from tinyaccel.cli.status import plain
from tinyaccel.data import DATASETS
from tinyaccel.errors import DataError
from tinyaccel.train import RECIPES
from tinyaccel.train.config import GROUPS, OPTIMIZERS, OPTIONS, SCHEDULES
from tinyaccel.train.run_folder import newest

for package in ("typer", "rich", "safetensors", "sklearn"):
    pytest.importorskip(package, reason=f"{package} (the extra 'train')")

QUICK = ["train", "--model", "mlp", "--device", "cpu", "--epochs", "1"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test runs in an empty folder, without TINYACCEL_DATA."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TINYACCEL_DATA", raising=False)


def _program(*arguments: str) -> subprocess.CompletedProcess[str]:
    """tinyaccel in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "tinyaccel.cli", *arguments],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


# What works


def test_train_ends_with_the_accuracy(capsys: pytest.CaptureFixture[str]) -> None:
    """The last line is the accuracy; the one before names the folder, which has the files."""
    assert main([*QUICK, "--progress", "quiet"]) == 0
    assert re.fullmatch(r"test accuracy [01]\.\d{4}\n", capsys.readouterr().out)
    assert main(QUICK) == 0
    out, err = capsys.readouterr()
    before, last = out.splitlines()
    assert re.fullmatch(r"test accuracy [01]\.\d{4} \(epoch 1, the best by val_loss\)", last)
    assert re.fullmatch(
        r"1 epoch on cpu in [\d.]+ s, [\d,]+ images/s; test loss \d\.\d{4}; "
        r"files in runs.digits-002", before,
    ), before  # fmt: skip
    first, classes, epoch = err.splitlines()
    assert re.fullmatch(
        r"digits: 1,131 to train on, 126 to validate on, 540 to test on; "
        r"mlp, 9,610 weights; cpu; runs.digits-002", first,
    ), first  # fmt: skip
    assert classes.startswith("10 classes: 0 178, 1 182, ")
    assert epoch.startswith("epoch 1/1  loss ")
    files = {path.name for path in Path("runs/digits-002").iterdir()}
    assert {"config.toml", "metrics.json", "history.csv", "model.safetensors"} <= files


def test_quiet_prints_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """--quiet leaves the accuracy alone; --no-jit and --seed give the same line on any day."""
    lines = []
    for out, *options in (["a", "--no-jit"], ["b", "--no-jit"], ["c", "--seed", "5"]):
        assert main([*QUICK, "--quiet", "--out", out, *options]) == 0
        lines.append(capsys.readouterr().out)
    assert lines[0] == lines[1] != lines[2]
    assert lines[0].count("\n") == 1
    assert sorted(path.name for path in Path().iterdir()) == ["a", "b", "c"]


def test_as_a_program() -> None:
    """In a process of its own, as a user starts it: the same, and nothing on stderr."""
    done = _program(*QUICK, "--quiet")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"test accuracy 0\.\d{4}\n", done.stdout)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """--version says which."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"tinyaccel {ta.__version__}\n"


def test_help(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Help names every option under its theme, what each name can be, and the recipes."""
    monkeypatch.setenv("COLUMNS", "300")
    assert main(["train", "--help"]) == 0
    text = capsys.readouterr().out
    options = [f"--{name.replace('_', '-')}" for name in OPTIONS]
    assert "tinyaccel train --data pictures --image-size 64" in text
    more = ["--no-jit", "--out", "--config", "--quiet", "--debug", "TINYACCEL_DATA", *GROUPS]
    names = [*DATASETS, *ta.nn.MODELS, *ta.backend_names(), *OPTIMIZERS, *SCHEDULES]
    for word in [*options, *more, *names]:
        assert word in text, word
    for name, recipe in RECIPES.items():
        assert f"{name}: {recipe.model}, {recipe.epochs} epochs" in text
    assert main([]) == 2  # no command: the help, and the status of a mistake
    assert "devices" in capsys.readouterr().out


# Devices


@pytest.fixture
def plug_ins() -> Iterator[None]:
    """Three backends that don't work, each in its own way."""

    class Empty(type(ta.get_device("cpu").backend)):  # type: ignore[misc]
        name = "empty"

        def devices(self) -> list[str]:
            return []

    def absent() -> ta.Backend:
        raise ImportError("No module named 'lib'", name="lib")

    def broken() -> ta.Backend:
        raise ZeroDivisionError("oh [dear]")

    from tinyaccel import backend

    factories = {"empty": Empty, "absent": absent, "broken": broken}
    for name, factory in factories.items():
        ta.register_backend(name, factory)
    yield
    for name in factories:
        del backend._registered[name]
        backend._backends.pop(name, None)


@pytest.mark.usefixtures("plug_ins")
def test_devices(capsys: pytest.CaptureFixture[str]) -> None:
    """Every known device is in the table, those that are missing with what to do, in one line."""
    assert main(["devices"]) == 0
    lines = [re.split(r"\s{2,}", line.rstrip(), maxsplit=2)
             for line in capsys.readouterr().out.splitlines()]  # fmt: skip
    assert lines[0] == ["device", "here", "what it is, or what it needs"]
    table = {line[0]: line[1:] for line in lines[1:-1]}
    assert list(table) == ta.backend_names()
    assert table["cpu"] == ["yes", "cpu"]
    assert table["empty"] == ["no", "installed, but there is no such device on this machine"]
    assert table["absent"] == [
        "no", "device 'absent': No module named 'lib'; install what it needs"
    ]  # fmt: skip
    assert table["broken"] == ["no", "backend 'broken' fails: ZeroDivisionError: oh [dear]"]
    assert lines[-1][0].startswith("auto ")


def test_devices_says_what_auto_is(capsys: pytest.CaptureFixture[str]) -> None:
    """The last line is the device that --device auto, the default, trains on."""
    assert main(["devices"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"auto is {ta.get_device('auto')}"


def test_what_is_found_works() -> None:
    """A device said to be here can be used; one said not to be raises the very text shown."""
    for name, here, text in survey():
        if here:
            assert ta.ones(2, device=name).sum().item() == 2
        else:
            with pytest.raises(ta.errors.TinyaccelError):
                ta.get_device(name)
            assert "\n" not in text


# What doesn't work: the arguments, and the whole of the one line

KNOWN = "cpu.*xla or auto"
WRONG: dict[str, tuple[list[str], str]] = {
    "device": (["train", "--device", "gpu"],
               r"device: 'gpu' is unknown, did you mean 'cuda'\?; expected one of .*cpu.*"),
    "device of evaluate": (["evaluate", "nowhere", "--device", "gpu"],
                           r"device: 'gpu' is unknown, did you mean 'cuda'\?; .*"),
    "no device": (["train", "--device", "abacus"],
                  rf"device: 'abacus' is unknown; expected one of {KNOWN}"),
    "near": (["train", "--epoch", "3"],
             r"No such option: --epoch, did you mean --epochs\?; tinyaccel train --help .*"),
    "precision": (["train", "--precision", "fp16"],
                  r"train: precision=\"fp16\", did you mean 'float16'\?; expected one of .*"),
    "metric": (["train", "--metrics", "acc"],
               r"metric 'acc' is unknown, did you mean 'accuracy'\?; expected one of .*"),
    "config": (["train", "--config", "a.toml"], r"a.toml can't be read: No such file .*"),
    "optimizer": (["train", "--optimizer", "adm"],
                  r"train: optimizer=\"adm\", did you mean 'Adam'\?; expected one of SGD, .*"),
    "model option": (["train", "--model-options", "hidden"],
                     r"train: model_options=\['hidden'\]; expected KEY=VALUE, .*"),
    "progress": (["train", "--progress", "loud"], r"progress='loud'; expected auto, .*"),
    "quiet and JSON": (["train", "--quiet", "--json"], r"--quiet and --json: expected one of th.*"),
    "resume": (["resume", "nowhere"], r"nowhere doesn't exist; name the folder of a run"),
    "resume option": (["resume", "nowhere", "--keep", "0"], r"resume: keep=0; expected an .*"),
    "evaluate": (["evaluate", "nowhere"], r"nowhere doesn't exist; name the folder of a run"),
    "predict": (["predict", "nowhere", "a.png"], r"nowhere doesn't exist; name the folder of .*"),
    "no picture": (["predict", "nowhere"], r"Missing argument 'FILE...'; .*"),
    "swapped": (["predict", "a.png", "runs/mine"],
                r"a.png is a picture; the run comes first: tinyaccel predict RUN IMAGE... .*"),
    "confusion": (["evaluate", "nowhere", "--confusion", "a.jpg"],
                  r"plot: 'a.jpg'; expected a name that ends in .png"),
    "device number": (["train", "--device", "cpu:7"], r"device: 'cpu:7' is not here; cpu has cpu"),
    "data set": (["train", "--data", "minst"],
                 r"there is no data set, .* 'minst', did you mean 'mnist'\?; expected .*"),
    "model": (["train", "--model", "cnn"],
              r"model 'cnn' is unknown; expected one of cifar_cnn, cifar_net, .*"),
    "images too small": (["train", "--model", "lenet"], r"lenet: images of 8x8; expected .*"),
    "no folder": (["train", "--data", "mnist", "--no-download"], r"mnist: .*"),
    "folder not there": (["train", "--data", "cifar10", "--data-dir", "nowhere"],
                         r"cifar10: folder nowhere doesn't exist; expected a folder that has .*"),
    "folder empty": (["train", "--data", "mnist", "--data-dir", "."],
                     r"mnist: train-images-idx3-ubyte.gz or .* is not in ., which has nothing; .*"),
    "epochs": (["train", "--epochs", "0"], r"train: epochs=0; expected an integer, 1 or more"),
    "epochs in words": (["train", "--epochs", "two"],
                        r"Invalid value for '--epochs': .*; tinyaccel train --help lists .*"),
    "batch size": (["train", "--batch-size", "-1"],
                   r"train: batch_size=-1; expected an integer, 1 or more"),
    "lr": (["train", "--lr", "nan"], r"train: lr=nan; expected a number above 0"),
    "seed": (["train", "--seed", "-1"], r"train: seed=-1; expected an integer, 0 or more"),
    "option": (["train", "--foo"], r"No such option: --foo.*; tinyaccel train --help lists .*"),
    "argument": (["train", "mnist"],
                 r"Got unexpected extra argument.*, did you mean --data mnist\?; tinyaccel .*"),
    "arguments": (["train", "a", "b"], r"Got unexpected extra argument\S* \(a b\); tinyaccel .*"),
    "command": (["trian"], r"No such command 'trian'.*; tinyaccel --help lists what there is"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_each_mistake_is_one_line(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2, one line on stderr, nothing on stdout, and no folder left behind."""
    arguments, pattern = WRONG[case]
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(rf"tinyaccel: {pattern}\n", err), err
    assert not list(Path().glob("runs/*"))


def test_out_that_is_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    """A file where the folder should be is left as it is."""
    Path("out").write_text("mine")
    assert main([*QUICK, "--out", "out"]) == 2
    assert re.fullmatch(
        r"tinyaccel: out: out can't be made a folder: .*\n", capsys.readouterr().err
    )
    assert Path("out").read_text() == "mine"


@pytest.mark.parametrize("where", ["before", "after"])
def test_debug_shows_the_traceback(where: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With --debug, before or after the command, an error comes with its traceback."""
    arguments = ["train", "--data", "mnist", "--data-dir", "nowhere"]
    assert main(["--debug", *arguments] if where == "before" else [*arguments, "--debug"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("Traceback (most recent call last)")
    assert "DataError: mnist: folder nowhere doesn't exist" in err


def test_an_error_is_one_line_whatever_its_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A message with line breaks in it, from a library say, is put on one line."""

    def load(*_: object, **__: object) -> None:
        raise DataError("digits: this\n  and that")

    monkeypatch.setitem(DATASETS, "digits", load)
    assert main(["train"]) == 2
    assert capsys.readouterr().err == "tinyaccel: digits: this and that\n"


MISSING = {
    "typer": (["devices"], "tinyaccel's command line: typer"),
    "rich.console": (["devices"], "tinyaccel devices: rich"),
    "safetensors": ([*QUICK, "--data", "digits"], "checkpoints: safetensors"),
    "sklearn": (QUICK, "digits: scikit-learn"),
}


@pytest.mark.parametrize("package", MISSING)
def test_missing_packages(package: str, tmp_path: Path) -> None:
    """In a process where the package can't be imported, one line names the extra to install."""
    arguments, who = MISSING[package]
    code = (
        f"import sys; sys.modules[{package!r}] = None; from tinyaccel.cli import main; "
        f"sys.exit(main({arguments!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          timeout=120, check=False, cwd=tmp_path)  # fmt: skip
    assert done.returncode == 2
    text = rf"tinyaccel: {who} is not installed; pip install 'tinyaccel\[train\]'\n"
    assert re.fullmatch(text, done.stderr), done.stderr


def test_python_words_stay_out() -> None:
    """What only a program in Python can use isn't in a message of the command line."""
    assert plain("fit: no; say --epochs (epochs=2), or --color (color='rgb'), or --out (out=)") == (
        "no; say --epochs, or --color, or --out"
    )
    assert plain("mnist: no (a) or (H=2)") == "mnist: no (a) or (H=2)"


STOPPED_EARLY = """
import os, signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "numpy":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
from tinyaccel_start import main
assert "tinyaccel" not in sys.modules
main()
"""


@pytest.mark.skipif(os.name == "nt", reason="a process is sent no such signals")
def test_ctrl_c_while_it_loads() -> None:
    """It ends the process without a traceback; once all is loaded, Ctrl-C is heard as ever."""
    done = subprocess.run([sys.executable, "-c", STOPPED_EARLY], capture_output=True, text=True,
                          timeout=60, check=False)  # fmt: skip
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")
    code = (
        "import signal, sys; sys.argv[1:] = ['--version']; from tinyaccel_start import main; "
        "sys.exit(main() or signal.getsignal(signal.SIGINT) is not signal.default_int_handler)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          timeout=60, check=False)  # fmt: skip
    assert (done.returncode, done.stdout) == (0, f"tinyaccel {ta.__version__}\n")


def test_importing_the_command_line_is_light() -> None:
    """The module of the entry point imports none of the packages that may be missing."""
    code = (
        "import sys, tinyaccel.cli; "
        "print(sorted({'typer', 'rich', 'sklearn', 'safetensors', 'jax'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          timeout=120, check=True)  # fmt: skip
    assert done.stdout == "[]\n"


ENDS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]


@pytest.mark.skipif(os.name == "nt", reason="a process is sent no such signals")
@pytest.mark.parametrize(("number", "status"), ENDS)
def test_being_stopped(number: signal.Signals, status: int, tmp_path: Path) -> None:
    """The status that a shell knows, one line that says how to go on, and that does it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tinyaccel.cli", *QUICK[:-1], "100000", "--out", "out", "--quiet"],
        stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tmp_path,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("out/checkpoints/*")) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (status, "")
    found = re.fullmatch(
        r"tinyaccel: stopped at epoch \d+, step \d+ of 36; saved in out\S+; go on with: "
        r"tinyaccel (resume out)\n", err,
    )  # fmt: skip
    assert found, err
    facts = newest(tmp_path / "out")[1].facts
    assert isinstance(facts["config"], dict) and facts["config"]["epochs"] == 100000
    assert found[1].split() == ["resume", "out"]


def test_devices_measured(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --measure each device that is here has its speeds, in units, and the others none."""
    speed = Speed(8 << 30, 1.5e10, 2e10, 3e-6)  # measured in the next test
    monkeypatch.setattr(devices, "measure", lambda name: speed)
    assert main(["devices", "--measure"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.split(r" {2,}", lines[0].strip())[:6] == [
        "device", "here", "memory", "products", "bandwidth", "one op"
    ]  # fmt: skip
    speeds = r"[\d,.e+]+ GFLOP/s +[\d,.e+]+ GB/s +[\d,]+ us"
    for line in lines[1:-1]:
        assert bool(re.search(speeds, line)) == (line.split()[1] == "yes")
    cpu = next(line for line in lines if line.startswith("cpu"))
    assert re.search(r"cpu +yes +\d+ GiB", cpu)


@pytest.mark.parametrize("device", ["cpu", "xla:cpu"])
def test_what_is_measured_has_been_done(device: str) -> None:
    """The clock stops when a result is there: nothing here moves a terabyte in a second."""
    from tinyaccel.cli.measure import measure

    try:
        ta.get_device(device)
    except ta.errors.TinyaccelError as error:
        pytest.skip(str(error))
    speed = measure(device)
    assert 1e7 < speed.products < 1e14
    assert 1e7 < speed.bandwidth < 1e13
    assert 1e-7 < speed.start < 1
