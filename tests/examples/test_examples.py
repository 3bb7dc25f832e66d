"""Every example, run as a user runs it; and with a broken engine, which it must notice."""

from __future__ import annotations

import ast
import importlib.util
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from running import (
    DATA,
    EXAMPLES,
    fake_cifar10,
    fake_mnist,
    needs_data,
    output_of,
    run,
    skip_without,
)

import tinyaccel as ta

needs_matplotlib = pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None, reason="matplotlib is not installed"
)


@dataclass(frozen=True)
class Lesson:
    """prints: key numbers of its output; any_device: whether --device takes all of them;
    options: what keeps it short in a test."""

    prints: tuple[str, ...]
    any_device: bool = True
    options: tuple[str, ...] = ()


LESSONS = {
    "gradient_descent.py": Lesson(
        (
            "2/m X^T (X theta - y)   [-8.42122117 -2.9701544 ]",
            "autograd of J           [-4.21061059 -1.4850772 ]",
            "step  0   J by hand 10.917015012144   with autograd 10.917015012144",
            "step 39   J by hand 0.470025751580   with autograd 0.470025751580",
            "J falls at every step",
            "least squares      [3.92717753 2.93463751]",
        )
    ),
    "momentum_and_adam.py": Lesson(
        (
            "momentum, step   2: [ 2.870175 -1.175    -1.1     ] and [ 2.870175 -1.175    -1.1",
            "Adam, step   1: [ 2.9 -1.9  0.9] and [ 2.9 -1.9  0.9]",
            "the right step makes it 62.8, the wrong one 49,907,272",
        )
    ),
    "optimizers_compared.py": Lesson(
        (
            "SGD        20.50000    4.35035    1.28645    0.01809     [ 0.12 -0.75]",
            "momentum   20.50000    5.02542    0.59147    0.00008     [ 0.12 -0.75]",
            "AdaGrad    20.50000    1.71048    0.21746    0.00025     [ 0.5 -0.5]",
            "RMSProp    20.50000    1.67726    0.18061    0.00002     [ 0.5 -0.5]",
            "Adam       20.50000    2.22560    0.47766    0.00005     [ 0.3 -0.3]",
        )
    ),
    "matrix_algebra.py": Lesson(
        (
            "A C           [[1.0, 2.0, 8.0], [3.0, 4.0, 18.0], [5.0, 6.0, 28.0]]",
            "dL/dC = A^T G [[48.0, 57.0, 66.0], [60.0, 72.0, 84.0]]",
            "dL/drow       [[12.0, 15.0]]",
            "both hold",
        )
    ),
    "activations.py": Lesson(
        (
            "ReLU       0.00000   0.00000   2.00000            0.00000   0.00000   1.00000",
            "sigmoid    0.11920   0.50000   0.88080            0.10499   0.25000   0.10499",
            "tanh      -0.96403   0.00000   0.96403            0.07065   1.00000   0.07065",
            "softmax of (2, 0, 1) = [0.66524 0.09003 0.24473]",
        )
    ),
    "backpropagation_by_hand.py": Lesson(
        (
            "z = W1 x          = [14. 32.]",
            "o = W2 h          = [ 7.8 17. ]",
            "= 88.82",
            "dL/dW2 = dL/do h^T       = [ 81.2 185.6] [168. 384.]",
            "dL/dW1 = dL/dz x^T       = [ 4.18  8.36 12.54] [ 5.96 11.92 17.88]",
            "dL/dW1  agrees",
        )
    ),
    "convolution_by_hand.py": Lesson(
        (
            "conv, relu      80",
            "a window of 2 doesn't fit into 1",
            "conv, relu      21 36 33 | 52 80 68 | 57 84 69",
            "pooled          80 80 | 84 84",
            "d image         1 2 1 | 2 4 2 | 1 2 1",
            "d kernel        10 14 18 | 22 26 30 | 14 16 18",
        )
    ),
    "pooling.py": Lesson(
        (
            "pooled           4 5 | 5 2.5",
            "gradient         0 0 0 0 | 0 4 0 8 | 12 0 0 0 | 0 0 16 0",
            "max pool         4 0 | 0 0",
            "max of the image 1 1 | 1 1",
            "gradient         0.25 0.5 0.25 | 0.5 1 0.5 | 0.25 0.5 0.25",
        )
    ),
    "first_divergence.py": Lesson(
        (
            "mine     loss 1.1",
            "first divergence: matmul on mine (eager), Sequential.2 (Linear), step 0",
            "in the body of linear",
            "mine agree: ",
        )
    ),
    "edge_conventions.py": Lesson(
        (
            "relu' at -1, 0, 1                                    0 0 1",
            "max of (2, 1, 2): its gradient                       0.5 0 0.5",
            "max-pool of four equal pixels: its gradient          1 0 0 0",
            "0**0, 0**-1, 0**2                                    1 inf 0",
            "127 + 1 in int8                                      -128",
            " are kept\n",
        )
    ),
    "training_step_time.py": Lesson(
        ("losses of the first three steps, the same for all: [2.33", " eager ", " jitted "),
        options=("--batch-size", "4", "--rounds", "1"),
    ),
    "cuda_vector_add.py": Lesson(
        (
            "CUDA C      equal to NumPy in all 10000 elements",
            "Numba-CUDA  equal to NumPy in all 10000 elements",
            "out-of-bounds read at <unguarded>:4, block (39, 0, 0), thread (16, 0, 0)",
        ),
        any_device=False,
    ),
    "cuda_shared_sum.py": Lesson(
        (
            "printed: missing barrier (shared-memory race) at <printed>:5",
            "reads share[256], but share has 256 elements",
            "repaired: out-of-bounds read at <repaired>:5, block (3, 0, 0), thread (232, 0, 0)",
            "off the exact sum by",
        ),
        any_device=False,
    ),
}
NEED_DATA = ("cifar10_tutorial.py", "lstm_mnist.py", "mnist_mlp.py")
STEP = "training_step_time.py"
GAME = "find_the_bug.py"  # brings its own devices
WRITER = "character_lstm.py"  # its claims take seconds to come true
SPEED = "data_pipeline_speed.py"  # takes several devices
WEIGHTS = "weights_from_pytorch.py"  # needs PyTorch
TRAINING = (  # run in test_training.py
    "cifar10_cnn.py", "mnist_cnn.py", "own_images.py", "same_training_everywhere.py",
    "save_and_load.py", "tensorboard_curves.py", "two_models.py",
)  # fmt: skip
ALL = {*LESSONS, *NEED_DATA, *TRAINING, GAME, SPEED, WEIGHTS, WRITER}


# Every example is here, and says how it is run


def test_table_names_every_example() -> None:
    """A new example can't be forgotten by the tests, nor by the README."""
    there = {path.name for path in EXAMPLES.glob("*.py")}
    assert there == ALL
    readme = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert [name for name in sorted(there) if f"[{name}]({name})" not in readme] == []


@pytest.mark.parametrize("name", sorted(ALL))
def test_example_says_what_it_is(name: str) -> None:
    """Each begins with a docstring of a sentence and the command that runs it."""
    doc = ast.get_docstring(ast.parse((EXAMPLES / name).read_text(encoding="utf-8")))
    assert doc is not None
    assert doc.splitlines()[0].endswith((".", "?"))
    assert f"python examples/{name}" in doc


# Run as they are


@pytest.mark.parametrize(
    "name", [name for name, lesson in LESSONS.items() if lesson.any_device and name != STEP]
)
def test_lesson(name: str, device: str, tmp_path: Path) -> None:
    """A lesson runs on each device, its own checks pass, and its key numbers are the right ones."""
    quiet = ["-W", "error"] if device == "cpu" else []
    result = run(
        *quiet, EXAMPLES / name, "--device", device, *LESSONS[name].options, folder=tmp_path
    )
    printed = output_of(result)
    assert [line for line in LESSONS[name].prints if line not in printed] == []
    assert not list(tmp_path.iterdir())  # nothing is written unless --out asks for it
    if device == "cpu":
        assert not result.stderr


def test_training_step_time(tmp_path: Path) -> None:
    """It times a step eager and jitted, after three whose losses are equal; here on the CPU."""
    options = ("--device", "cpu", *LESSONS[STEP].options)
    printed = output_of(run("-W", "error", EXAMPLES / STEP, *options, folder=tmp_path))
    assert [line for line in LESSONS[STEP].prints if line not in printed] == []


@pytest.mark.parametrize("name", ["backpropagation_by_hand.py", "convolution_by_hand.py"])
def test_lesson_on_the_emulated_gpu(name: str, tmp_path: Path) -> None:
    """A lesson prints the same key numbers on cuda-sim."""
    skip_without("cuda-sim")
    printed = output_of(run(EXAMPLES / name, "--device", "cuda-sim", folder=tmp_path))
    assert [line for line in LESSONS[name].prints if line not in printed] == []


@pytest.mark.parametrize(
    "name", [name for name, lesson in LESSONS.items() if not lesson.any_device]
)
def test_cuda_lesson(name: str, tmp_path: Path) -> None:
    """A CUDA lesson runs on the device that it chooses when nobody names one."""
    skip_without("cuda-sim")
    printed = output_of(run(EXAMPLES / name, folder=tmp_path))
    assert [text for text in LESSONS[name].prints if text not in printed] == []


@pytest.mark.parametrize(
    ("bug", "says", "revealed"),
    [
        ("1", "[forward] exp on mutant", ""),
        ("38", "[convention] relu on mutant", "It was relu: relu passes its gradient at 0."),
    ],
)
def test_the_game(bug: str, says: str, revealed: str, tmp_path: Path) -> None:
    """A bug is shown by its counterexample, and told on demand alone."""
    demand = ["--reveal"] if revealed else []
    printed = output_of(run(EXAMPLES / GAME, "--bug", bug, *demand, folder=tmp_path))
    assert says in printed and revealed in printed
    assert ("It was" in printed) == bool(revealed)


def test_the_game_has_no_such_bug(tmp_path: Path) -> None:
    """A number that no bug has is refused, with those that there are."""
    result = run(EXAMPLES / GAME, "--bug", "999", folder=tmp_path)
    assert result.returncode == 2 and "there are bugs 1 to " in result.stderr


def test_speed_of_the_data_pipeline(tmp_path: Path) -> None:
    """Rates of each pipeline and step are told, for both data sets, without any data."""
    options = ["--device", "cpu", "--seconds", "0.01", "--batch-size", "4"]
    printed = output_of(run(EXAMPLES / SPEED, *options, folder=tmp_path))
    rows = [line.split() for line in printed.splitlines() if line.startswith("crop, flip, cutout")]
    assert [len(row) for row in rows] == [6, 6]
    assert printed.count(" x the fastest, rotate") == printed.count("steps of ") == 4


@needs_matplotlib
@pytest.mark.parametrize("name", ["activations.py", "optimizers_compared.py"])
def test_picture(name: str, tmp_path: Path) -> None:
    """--out writes a PNG with curves on it, where there is no screen."""
    from matplotlib import image

    printed = output_of(run(EXAMPLES / name, "--out", "picture.png", folder=tmp_path))
    assert "Picture: picture.png" in printed
    pixels = (image.imread(tmp_path / "picture.png")[..., :3] * 255).astype(int)
    assert min(pixels.shape[:2]) > 300
    colours = np.unique(pixels.reshape(-1, 3), axis=0)
    vivid = colours[np.ptp(colours, axis=1) > 100]  # lines; frame, grid and text are grey
    assert len(vivid) > 10


# Beside PyTorch

_TWICE = """
import runpy, sys
import tinyaccel as ta
from tinyaccel import nn

class Norm(nn.BatchNorm2d):
    def __init__(self, features):
        super().__init__(features, eps=1e-3)

sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
nn.BatchNorm2d = Norm
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("torch", "sklearn"))),
    reason="PyTorch or scikit-learn is not installed",
)
def test_weights_from_pytorch(tmp_path: Path) -> None:
    """The network is as often right here as in PyTorch, and learns more here, and goes back so.

    In the same process, because importing PyTorch takes its time, the lesson is given once more,
    with another eps in batch norm, which is not quite the same network; and it says so.
    """
    result = run("-c", _TWICE, EXAMPLES / WEIGHTS, "--epochs", "2", folder=tmp_path)
    shares = re.findall(r"(\d+\.\d)% right", result.stdout)
    before, here, after, back, _ = map(float, shares)
    assert before == here and after == back
    assert 80 < before < after
    assert result.stderr.splitlines()[-1].startswith("AssertionError: the logits differ by more")


def test_weights_without_pytorch(tmp_path: Path) -> None:
    """One line says what is missing, and the status is 2."""
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError('none here', name='torch')")
    result = run(
        "-c", "import runpy, sys; sys.path.insert(0, '.'); sys.argv = sys.argv[1:];"
        "runpy.run_path(sys.argv[0], run_name='__main__')", EXAMPLES / WEIGHTS, folder=tmp_path,
    )  # fmt: skip
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.endswith("PyTorch is not installed; pip install torch")


# Those that need data: with made-up files, with none, and with the real ones


def test_mnist_mlp_learns(device: str, tmp_path: Path) -> None:
    """The MLP learns rows of light on each device, and says how well and in which time."""
    fake_mnist(tmp_path / "mnist")
    options = ["--epochs", "3", "--batch-size", "16"]
    result = run(
        EXAMPLES / "mnist_mlp.py", "--device", device, "--data-dir", tmp_path, *options,
        folder=tmp_path,
    )  # fmt: skip
    printed = output_of(result)
    assert f"device {ta.get_device(device)}, 101,770 weights, 40 steps an epoch" in printed
    assert "images a second" in printed
    assert float(printed.split()[-1]) > 0.95


def test_an_lstm_reads_rows(tmp_path: Path) -> None:
    """The LSTM learns which row is light, and doesn't know it yet where it stops reading early."""
    fake_mnist(tmp_path / "mnist")
    options = ["--epochs", "4", "--batch-size", "16", "--hidden", "48"]
    result = run(
        EXAMPLES / "lstm_mnist.py", "--device", "cpu", "--data-dir", tmp_path, *options,
        folder=tmp_path,
    )  # fmt: skip
    printed = output_of(result)
    assert "device cpu, 15,466 weights, 40 steps an epoch" in printed
    assert "with its compilation" in printed
    asked = re.findall(r"(\d+) rows (\d\.\d\d)", printed)
    assert [rows for rows, _ in asked] == ["7", "14", "21"]
    assert float(printed.split()[-1]) > 0.9 > max(float(right) for _, right in asked)


def test_an_lstm_writes(tmp_path: Path) -> None:
    """It comes near the least loss that there is, and writes sentences that are right."""
    printed = output_of(run("-W", "error", EXAMPLES / WRITER, folder=tmp_path))
    assert "ln 19 = 2.944; knowing how frequent each is: 2.6" in printed
    assert "no way below ln 512 by the mean length: 0.242 nats" in printed


def test_an_lstm_that_forgets_does_not_write(tmp_path: Path) -> None:
    """With a bug planted in the gates, what the program claims doesn't hold, and it says so."""
    bug = """
def forgetful(gates, c):
    h = ta.tanh(gates[..., :c.shape[-1]])
    return ta.concat([h, h], axis=-1) * 0
change('lstm_gates', body=forgetful, vjp=None)
"""
    short = ("--steps", "40")
    result = run("-c", _BREAK.format(bug=bug), EXAMPLES / WRITER, *short, folder=tmp_path)
    assert result.returncode == 1
    assert "AssertionError: it has learnt less than how frequent each letter is" in result.stderr


@pytest.mark.parametrize("name", ["cifar10_tutorial.py", "mnist_mlp.py"])
def test_no_jit_prints_the_same(name: str, tmp_path: Path) -> None:
    """Op by op, with --no-jit, training loses the same as jitted, to what is printed."""
    fake_mnist(tmp_path / "mnist")
    fake_cifar10(tmp_path / "cifar10")
    command = (EXAMPLES / name, "--device", "cpu", "--data-dir", tmp_path, "--epochs", "2")
    losses = [
        re.findall(r"loss:? (\d+\.\d+)", output_of(run(*command, *more, folder=tmp_path)))
        for more in ((), ("--no-jit",))
    ]
    assert len(losses[0]) >= 2
    assert losses[0] == losses[1]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("mnist_mlp.py", [], "mnist: no folder given; name one .* --data-dir .* TINYACCEL_DATA"),
        ("cifar10_tutorial.py", [], "cifar10: no folder given; name one .* TINYACCEL_DATA"),
        ("mnist_mlp.py", ["--data-dir", "nowhere"], "folder nowhere doesn't exist; expected"),
        ("mnist_mlp.py", ["--device", "abacus"], "'abacus' is unknown; expected one of .*cpu"),
        ("cifar10_tutorial.py", ["--device", "abacus"], "'abacus' is unknown; expected one of"),
        ("lstm_mnist.py", [], "mnist: no folder given; name one .* --data-dir .* TINYACCEL_DATA"),
        (WRITER, ["--text", "nowhere"], "nowhere: .*No such file.*; expected a text in UTF-8"),
    ],
)
def test_bad_input_is_one_clear_line(
    name: str, options: list[str], message: str, tmp_path: Path
) -> None:
    """Without data, or with an unknown device: one line that says what to give, and status 2."""
    result = run(EXAMPLES / name, *options, folder=tmp_path)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert re.search(message, line), line


@needs_data
def test_cifar10_beats_chance(tmp_path: Path) -> None:
    """Two epochs on real photographs are right at least twice as often as guessing."""
    command = (EXAMPLES / "cifar10_tutorial.py", "--device", "cpu", "--epochs", "2")
    printed = output_of(run(*command, folder=tmp_path, data=DATA))
    (accuracy,) = [line.split()[-1] for line in printed.splitlines() if "Accuracy" in line]
    assert float(accuracy.rstrip("%")) > 20


@needs_data
def test_mnist_mlp_reads_digits(device: str, tmp_path: Path) -> None:
    """One epoch on real digits reads more than 95 % of the test set, on each device."""
    command = (EXAMPLES / "mnist_mlp.py", "--device", device, "--epochs", "1")
    printed = output_of(run(*command, folder=tmp_path, data=DATA))
    assert float(printed.split()[-1]) > 0.95


# A lesson that can't fail teaches nothing

_BREAK = """
import dataclasses, runpy, sys
import tinyaccel as ta
from tinyaccel import optim
from tinyaccel.op import OPS
from tinyaccel.ops import pooling

def change(name, **fields):
    OPS[name] = dataclasses.replace(OPS[name], **fields)

def scaled(name, which, factor):
    rules = list(OPS[name].vjp)
    rule = rules[which]
    rules[which] = lambda *args, **attrs: rule(*args, **attrs) * factor
    change(name, vjp=tuple(rules))

{bug}
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
PLANTED = [
    ("gradient_descent.py", "a product's gradient is doubled", "scaled('matmul', 1, 2)"),
    ("gradient_descent.py", "a mean divides by one too few", """
change('mean', body=lambda x, *, axis, keepdims: x.sum(axis, keepdims=keepdims) / (x.size - 1))
"""),
    ("momentum_and_adam.py", "Adam doesn't correct its moments", """
init = optim.Adam.__init__
def far_along(self, *args, **options):
    init(self, *args, **options)
    for step in self.state['step']:
        step.assign(1e6)  # where 1 - beta**step is 1
optim.Adam.__init__ = far_along
"""),
    ("momentum_and_adam.py", "momentum is the averaged one", """
init = optim.SGD.__init__
optim.SGD.__init__ = lambda self, params, lr, momentum: init(
    self, params, lr, momentum, dampening=momentum)
"""),
    ("optimizers_compared.py", "AdaGrad lacks the root", """
change('sqrt', kernels={'cpu': lambda x: x})
"""),
    ("optimizers_compared.py", "SGD goes uphill", """
step = optim.SGD.update
optim.SGD.update = lambda self, p, g, state: step(self, p, -g, state)
"""),
    ("matrix_algebra.py", "the left factor's gradient is negative", "scaled('matmul', 0, -1)"),
    ("matrix_algebra.py", "a broadcast row's gradient is a mean", """
change('sum', kernels={'cpu': lambda x, axis, keepdims: x.mean(axis, keepdims=keepdims)})
"""),
    ("activations.py", "relu's slope at 0 is 1", """
change('relu', vjp=(lambda g, y, x: ta.where(x >= 0, g, 0),))
"""),
    ("activations.py", "softmax's gradient lacks its second term", """
change('softmax', vjp=(lambda g, y, x, *, axis: g * y,))
"""),
    ("backpropagation_by_hand.py", "the weight's gradient is halved", "scaled('linear', 1, 0.5)"),
    ("backpropagation_by_hand.py", "the mean of squares is a sum", """
change('mse', body=lambda a, b, *, reduction: ((a - b) * (a - b)).sum())
"""),
    ("convolution_by_hand.py", "the kernel's gradient is turned round", """
rules = OPS['conv2d'].vjp
change('conv2d', vjp=(rules[0], lambda *a, **at: ta.flip(rules[1](*a, **at), axis=(2, 3))))
"""),
    ("convolution_by_hand.py", "same padding is on one side only", """
conv2d = ta.conv2d
ta.conv2d = lambda x, w, padding=0: conv2d(x, w, padding=((2, 0), (2, 0)) if padding else 0)
"""),
    ("pooling.py", "a tie goes to the last", """
def turned(t):
    return ta.flip(t, axis=(2, 3))
change('max_pool2d', vjp=(
    lambda g, y, x, **at: turned(pooling.max_pool2d_input_grad(turned(g), turned(x), **at)),
))
"""),
    ("pooling.py", "the average's gradient isn't divided", "scaled('unfold', 0, 4)"),
    ("edge_conventions.py", "relu's slope at 0 is 1", """
change('relu', vjp=(lambda g, y, x: ta.where(x >= 0, g, 0),))
"""),
    ("edge_conventions.py", "a base of 0 has no power 0", """
change('pow', kernels={'cpu': lambda a, b: ta.get_device('cpu').backend.xp.exp(b * (a * 0 - 9))})
"""),
    ("first_divergence.py", "a budget permits everything", """
budget = OPS['matmul'].budget
change('matmul', budget=dataclasses.replace(budget, units=1e9))
"""),
    ("first_divergence.py", "compare doesn't know the layers", """
ta.nn.Module._place = lambda self, trace: ''
"""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "bug", "code"), PLANTED, ids=[f"{name}: {bug}" for name, bug, _ in PLANTED]
)
def test_lesson_notices_a_broken_engine(name: str, bug: str, code: str, tmp_path: Path) -> None:
    """With a bug planted in the engine, what a lesson claims no longer holds, and it says so."""
    result = run("-c", _BREAK.format(bug=code), EXAMPLES / name, folder=tmp_path)
    assert result.returncode == 1, f"{name} doesn't see that {bug}"
    # The line of the lesson at which it ended, which the traceback shows below the file's name.
    lines = result.stderr.splitlines()
    assert str(EXAMPLES / name) in result.stderr, result.stderr
    ended = [after for line, after in pairwise(lines) if str(EXAMPLES / name) in line]
    assert "assert" in ended[-1], result.stderr


def test_each_lesson_has_planted_bugs() -> None:
    """No lesson is left out of the table above."""
    lessons = {name for name, lesson in LESSONS.items() if lesson.any_device}
    lessons.remove(STEP)  # held against PyTorch, which may be absent
    assert {name for name, _, _ in PLANTED} == lessons
