"""Free layouts and arrangements: valid, varied, of the sizes that tell; and cases as Python."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

import tinyaccel as ta
from tinyaccel.backend import get_device
from tinyaccel.op import OPS, Attrs
from tinyaccel.testing import accepted, cases
from tinyaccel.testing.arrange import ARRANGEMENTS, applies, arranged, fitting, placed
from tinyaccel.testing.drawn import drawn_layouts, listed_layouts, sizes, way
from tinyaccel.testing.layouts import Layout, layouts
from tinyaccel.testing.runnable import runnable
from tinyaccel.testing.strategies import Case, arranged_cases, large_cases, make_case

NAMES = [op.name for op in OPS.values() if op.kind != "custom"]


def _drawn(name: str, count: int, *, small: bool = False) -> list[Layout]:
    """Layouts of an op, always the same ones."""
    found: list[Layout] = []

    @seed(1)
    @settings(max_examples=count, database=None, derandomize=False,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(drawn_layouts(OPS[name], small=small))
    def draw(at: Layout) -> None:
        found.append(at)

    draw()
    return found


@pytest.mark.parametrize("name", NAMES)
def test_drawn_layouts_are_valid_calls(name: str) -> None:
    """What is drawn, the op's own rules accept, and it stays small enough for a reference."""
    op = OPS[name]
    dtype = ta.float32 if ta.float32 in accepted(op) else accepted(op)[0]
    for at in _drawn(name, 12):
        case = make_case(op, dtype, at, "uniform", 0, ARRANGEMENTS)
        attrs = op.prepare(*case.specs, **case.attrs) if op.prepare else case.attrs
        out = op.infer(*case.specs, **attrs)
        assert math.prod(out.shape) <= 2**15
        assert sum(a.size for a in case.arrays) <= 2**15


def test_most_ops_are_drawn_freely() -> None:
    """The kinds that networks are made of leave their lists; what doesn't is the smaller part."""
    free = {name for name in NAMES if way(OPS[name]) is not None}
    assert free >= {"exp", "add", "where", "clip", "sum", "max", "argmax", "softmax", "reshape",
                    "permute_dims", "broadcast_to", "flip", "pad", "slice", "concat", "squeeze",
                    "matmul", "linear", "conv2d", "conv2d_input_grad", "conv2d_weight_grad",
                    "take_along_axis", "scatter_add", "mse", "dropout"}  # fmt: skip
    assert len(free) > len(NAMES) / 2


def test_drawn_shapes_are_varied() -> None:
    """0 to 4 dimensions, nothing along an axis, one element, and sizes past a tile's edge."""
    shapes = [at.shapes[0] for at in _drawn("exp", 300)]
    assert {len(s) for s in shapes} == {0, 1, 2, 3, 4}
    met = Counter(n for s in shapes for n in s)
    assert {0, 1, 2, 31, 33, 127, 129} <= met.keys()
    assert any(n > 1000 for n in met)
    assert any(0 not in s and math.prod(s) == 1 for s in shapes)


def test_drawn_attributes_are_varied() -> None:
    """Axes from either end, several, none at all; both keepdims; strides, paddings, groups."""
    found: list[Attrs] = [at.attrs for at in _drawn("sum", 200)]
    kinds = {type(at["axis"]) for at in found}
    assert kinds == {int, tuple, type(None)}
    assert any(isinstance(at["axis"], int) and at["axis"] < 0 for at in found)
    assert {at["keepdims"] for at in found} == {False, True}
    convolutions = [at.attrs for at in _drawn("conv2d", 150)]
    for name in ("stride", "padding", "dilation", "groups"):
        assert len({at[name] for at in convolutions}) > 2, name
    assert any(len({*sum(at["padding"], ())}) > 1 for at in convolutions)
    slices = [at.attrs for at in _drawn("slice", 150)]
    assert any(start > 20 for at in slices for start in at["starts"])
    assert {1, 2, 3, 32} <= {step for at in slices for step in at["steps"]}
    broadcasts = [at.shapes for at in _drawn("add", 100)]
    assert any(a != b and 1 in b for a, b in broadcasts)
    assert any(len(a) != len(b) for a, b in broadcasts)


def test_small_ones_are_small() -> None:
    """For gradients, a few hundred elements at most."""
    for name in ("exp", "add", "sum", "conv2d"):
        for at in _drawn(name, 30, small=True):
            assert sum(map(sizes.count, at.shapes)) <= 512


def test_simplest_first() -> None:
    """What hypothesis shrinks to is the smallest listed layout that has an element."""
    for name in NAMES:
        first, *rest = (sum(map(sizes.count, at.shapes)) for at in listed_layouts(OPS[name]))
        assert all(first <= other for other in rest if other)


# Arrangements


@pytest.mark.parametrize("how", ARRANGEMENTS)
def test_arranged_tensors_have_their_values(how: str, device: str) -> None:
    """However it lies, a tensor holds the array's values, to the bit, in every dtype."""
    rng = np.random.default_rng(5)
    for shape in ((), (1,), (3,), (2, 3), (1, 4), (2, 0), (2, 1, 3)):
        for dtype in (ta.float32, ta.bfloat16, ta.int8, ta.bool_):
            array = fitting(rng.integers(0, 2, shape).astype(dtype.numpy), how)
            made = placed(array, how, get_device(device))
            assert made.numpy().tobytes() == array.tobytes()
            assert made.spec == ta.Spec(shape, dtype)


def test_arranged_tensors_are_views() -> None:
    """On the CPU a kernel really meets other strides; fitting leaves what can't lie so."""
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    cpu = get_device("cpu")
    strides = {
        how: tuple(s // 4 for s in placed(fitting(array, how), how, cpu)._data.strides)
        for how in ARRANGEMENTS
    }
    assert strides == {
        "plain": (3, 1), "strided": (6, 2), "transposed": (1, 2), "flipped": (-3, -1),
        "broadcast": (0, 1),
    }  # fmt: skip
    assert fitting(array, "broadcast").tolist() == [[0, 1, 2], [0, 1, 2]]
    assert not applies((), "flipped")
    assert not applies((1, 3), "transposed")
    assert not applies((2, 0), "strided")
    assert arranged(array, "strided").buffer.shape == (2, 6)


def test_a_case_says_how_it_lies() -> None:
    """Its text names the arrangement of each input that isn't plain."""
    op = OPS["add"]
    at = Layout(((2, 3), (3,)), {})
    case = make_case(op, ta.float32, at, "ties", 3, ["transposed", "strided"])
    assert str(case) == "add(float32[2, 3] transposed, float32[3] strided) of ties values"
    same = make_case(op, ta.float32, at, "ties", 3)
    assert str(same) == "add(float32[2, 3], float32[3]) of ties values"
    assert [a.tobytes() for a in same.arrays] == [a.tobytes() for a in case.arrays]


def test_every_arrangement_is_met_in_each_run() -> None:
    """Whatever is drawn, an op meets each of them, and more elements than a tile has."""
    found = arranged_cases(OPS["mul"], ta.float32)
    assert {case.how(i) for case in found for i in range(2)} >= {"strided", "flipped", "broadcast"}
    assert {case.lie for case in arranged_cases(OPS["tanh"], ta.float32)} == {
        (how,) for how in ARRANGEMENTS[1:]
    }
    assert arranged_cases(OPS["mul"], ta.float16) == []
    assert [case.arrays[0].shape for case in large_cases(OPS["mul"], ta.float32)] == [(9, 129)]


@settings(max_examples=30)
@given(st.data())
def test_compiled_backends_meet_listed_shapes_alone(data: st.DataObject) -> None:
    """Not free, a case has one of the listed layouts, and lies plainly."""
    case = data.draw(cases("exp", ta.float32, free=False))
    assert case.arrays[0].shape in {at.shapes[0] for at in layouts(OPS["exp"])}
    assert case.how(0) == "plain"
    assert get_device("cpu").backend.compiles_each_shape is False


# As Python


def test_cases_as_python() -> None:
    """The line computes the case: values, dtype, attributes, arrangement, special numbers."""
    rng = np.random.default_rng(11)
    checked = 0
    for name, attrs in (("sum", {"axis": 0, "keepdims": True}), ("exp", {}), ("add", {}),
                        ("concat", {"axis": 0}), ("flip", {"axis": None}),
                        ("astype", {"dtype": ta.int8})):  # fmt: skip
        for how in ARRANGEMENTS:
            values = rng.choice([1.5, -0.0, 2.0**-130, 0.1], (2, 3)).astype(np.float32)
            count = 2 if name in ("add", "concat") else 1
            case = Case(name, (fitting(values, how),) * count, attrs, "ties", (how,) * count)
            line = runnable(case, "cpu")
            assert line.startswith(f"ta.{name}("), line
            got = eval(line, {"ta": ta})  # noqa: S307  # the line is what is tested
            wanted = ta.tensor.__globals__["apply"](name, *map(ta.tensor, case.arrays), **attrs)
            assert got.spec == wanted.spec
            assert got.numpy().tobytes() == wanted.numpy().tobytes(), line
            checked += 1
    assert checked == 30


def test_lines_of_what_is_hard_to_write() -> None:
    """NaN, infinity, nothing at all; another device; ops without a public function; too much."""
    special = Case("exp", (np.array([np.nan, -np.inf], np.float32),), {}, "special")
    assert runnable(special, "mine") == (
        'ta.exp(ta.tensor([float("nan"), float("-inf")], dtype="float32", device="mine"))'
    )
    empty = Case("exp", (np.zeros((2, 0), np.float16),), {}, "ties")
    assert runnable(empty, "cpu") == 'ta.exp(ta.zeros((2, 0), dtype="float16"))'
    inner = Case("random_bits", (np.zeros(3, np.uint32),), {"shape": (2,)}, "ties")
    assert runnable(inner, "cpu") == (
        "from tinyaccel.tensor import apply; "
        "apply('random_bits', ta.tensor([0, 0, 0], dtype=\"uint32\"), shape=(2,))"
    )
    space: dict[str, object] = {"ta": ta}
    exec(runnable(inner, "cpu"), space)  # noqa: S102  # the line is what is tested
    assert runnable(Case("exp", (np.zeros(99),), {}, "ties"), "cpu") == ""


def test_a_gradient_as_python() -> None:
    """Of order 1 the line pulls the cotangent back; beyond, there is none."""
    x, v = np.array([1.0, 2.0], np.float32), np.array([0.5, -1.0], np.float32)
    case = Case("square", (x,), {}, "ties")
    line = runnable(case, "cpu", 1, [v])
    (got,) = eval(line, {"ta": ta})  # noqa: S307  # the line is what is tested
    assert got.tolist() == [1.0, -4.0]
    assert runnable(case, "cpu", 2, [v]) == ""
