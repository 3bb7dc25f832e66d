"""The programs that train with `Trainer`, run as a user runs them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from running import EXAMPLES, fake_cifar10, fake_mnist, output_of, run

for package in ("sklearn", "safetensors", "filelock", "matplotlib", "PIL", "tensorboardX"):
    pytest.importorskip(package, reason=f"{package} (the extra 'train')")


def test_mnist_cnn(tmp_path: Path) -> None:
    """The CNN learns rows of light, says what it reads, and leaves the files of a run."""
    fake_mnist(tmp_path / "mnist")
    options = ["--device", "cpu", "--data-dir", tmp_path, "--epochs", "2", "--out", "run"]
    printed = output_of(run("-W", "error", EXAMPLES / "mnist_cnn.py", *options, folder=tmp_path))
    assert "device cpu; 93,322 weights" in printed
    labels, read = re.findall(r"(?:ten digits|it reads): +(\[.*\])", printed)
    assert labels == read
    assert float(printed.split()[-1]) > 0.95
    assert len(list((tmp_path / "run" / "checkpoints").iterdir())) == 2


def test_cifar10_cnn(tmp_path: Path) -> None:
    """The tutorial runs on made-up photographs, reports each class, and draws its curves."""
    fake_cifar10(tmp_path / "cifar10")
    options = ["--device", "cpu", "--data-dir", tmp_path, "--epochs", "1", "--out", "a.png"]
    printed = output_of(run("-W", "error", EXAMPLES / "cifar10_cnn.py", *options, folder=tmp_path))
    assert "122,570" in printed  # Keras counts as many
    assert re.search(r"^airplane +\d\.\d{4}", printed, re.MULTILINE)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("own_images.py", ["--device", "cpu"],
         ["192 pictures of cross, disc, square", "a disc.png: disc, ", "a square.png: square, "]),
        ("two_models.py", ["--epochs", "2"], ["mlp: test accuracy 0.", "cnn: ", "to the bit"]),
        ("save_and_load.py", ["--other", "xla:cpu"],
         ["9,936 bytes", "cpu: the weights of the run that wasn't stopped, to the bit",
          "xla:cpu: losses 1.9"]),
        ("same_training_everywhere.py", ["--devices", "cpu,cpu", "--epochs", "5", "--out", "a.png"],
         ["The first epoch's losses are 0.0000% apart", "Picture: a.png"]),
        ("tensorboard_curves.py", ["--out", "board"], ["epoch  loss", "1 file of "]),
    ],
)  # fmt: skip
def test_it_holds(name: str, options: list[str], says: list[str], tmp_path: Path) -> None:
    """What each program claims it checks itself; here are its key lines."""
    if "xla:cpu" in options:
        pytest.importorskip("jax", reason="XLA")
    printed = output_of(run(EXAMPLES / name, *options, folder=tmp_path))
    assert [text for text in says if text not in printed] == []


@pytest.mark.parametrize("name", ["mnist_cnn.py", "cifar10_cnn.py"])
def test_without_data(name: str, tmp_path: Path) -> None:
    """One line says what to give, and the status is 2."""
    result = run(EXAMPLES / name, folder=tmp_path)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert "TINYACCEL_DATA" in line
