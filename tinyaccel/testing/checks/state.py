"""State under jit: what is kept stays, what changed outside is seen, what is written arrives.

All numbers here are small multiples of powers of two, so that every device gets them exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinyaccel.backend import Device
from tinyaccel.errors import CheckError
from tinyaccel.jit import jit
from tinyaccel.op import OPS
from tinyaccel.ops.define import custom_op
from tinyaccel.ops.random import Generator
from tinyaccel.optim import SGD
from tinyaccel.tensor import Tensor, apply, tensor
from tinyaccel.testing.checks.common import collector, expect

CHECKS, named = collector("state")


def _parameter(device: Device, values: Sequence[float]) -> Tensor:
    return tensor(list(values), device=device, requires_grad=True)


def _descent(device: Device, rate: float = 0.25) -> tuple[Tensor, SGD, Callable[[], Tensor]]:
    """A parameter, its optimizer, and a jitted step down the sum of p**2, which returns the loss.

    With rate 1/4 each step halves the parameter.
    """
    p = _parameter(device, [8.0, -4.0])
    optimizer = SGD([p], lr=rate)

    @jit
    def step() -> Tensor:
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        optimizer.step()
        return loss

    return p, optimizer, step


@named("jit: keeps three losses")
def _losses(device: Device) -> None:
    _, _, step = _descent(device)
    losses = [step() for _ in range(3)]
    expect("the losses of three steps", [x.item() for x in losses], [80.0, 20.0, 5.0])
    step()
    expect("the same three after a fourth", [x.item() for x in losses], [80.0, 20.0, 5.0])


@named("jit: keeps a detached parameter")
def _detached(device: Device) -> None:
    p, _, step = _descent(device)
    kept = [p.detach()]
    for _ in range(3):
        step()
        kept.append(p.detach())
    wanted = [[8.0, -4.0], [4.0, -2.0], [2.0, -1.0], [1.0, -0.5]]
    expect("the parameter after each step", [x.tolist() for x in kept], wanted)


@named("jit: keeps a gradient")
def _gradient(device: Device) -> None:
    p, _, step = _descent(device)
    kept = []
    for _ in range(3):
        step()
        kept.append(p.grad)
    wanted = [[16.0, -8.0], [8.0, -4.0], [4.0, -2.0]]
    expect("the gradient of each step", [None if g is None else g.tolist() for g in kept], wanted)


@named("jit: reads values that were assigned between calls")
def _assigned(device: Device) -> None:
    p, _, step = _descent(device)
    checkpoint = p.detach()
    first = [step().item() for _ in range(2)]
    p.assign(checkpoint)
    expect("the losses after going back", [step().item() for _ in range(2)], first)
    p.assign(tensor([1.0, 1.0], device=device))
    expect("the loss of new values", step().item(), 2.0)
    expect("what went back", checkpoint.tolist(), [8.0, -4.0])


@named("jit: sees a learning rate that was changed between calls")
def _learning_rate(device: Device) -> None:
    p, optimizer, step = _descent(device)
    step()
    optimizer.lr = 0.5
    step()
    expect("the parameter after rates 0.25 and 0.5", p.tolist(), [0.0, 0.0])
    p.assign(tensor([1.0, 2.0], device=device))
    optimizer.lr = 0.125
    step()
    expect("the parameter after rate 0.125", p.tolist(), [0.75, 1.5])


@named("jit: another argument gives another result")
def _arguments(device: Device) -> None:
    double = jit(lambda x: x * 2)
    given = [tensor([float(n), -float(n)], device=device) for n in range(4)]
    results = [double(x) for x in given]
    wanted = [[2.0 * n, -2.0 * n] for n in range(4)]
    expect("four results", [y.tolist() for y in results], wanted)
    expect(
        "their arguments", [x.tolist() for x in given], [[float(n), -float(n)] for n in range(4)]
    )


@named("jit: never overwrites a result")
def _results(device: Device) -> None:
    total = tensor(np.zeros(33, np.float32), device=device)

    @jit
    def add(x: Tensor) -> tuple[Tensor, ...]:
        total.assign(total + x)
        return x + 1, total.detach(), total * 2, x.reshape(3, 11)

    kept: list[tuple[Tensor, Any]] = []
    for n in range(5):
        for y in add(tensor(np.full(33, n, np.float32), device=device)):
            kept.append((y, y.tolist()))
    expect("the sum", total.tolist(), [10.0] * 33)
    for i, (y, values) in enumerate(kept):
        expect(f"result {i % 4} of call {i // 4} after the last call", y.tolist(), values)


@named("jit: two tensors of one value part when one changes")
def _shared(device: Device) -> None:
    a, b = tensor([1.0, 2.0], device=device), tensor([0.0, 0.0], device=device)
    step = jit(lambda: a.assign(a + 1))
    b.assign(a)
    for _ in range(3):
        step()
    expect("the one that was stepped", a.tolist(), [4.0, 5.0])
    expect("the one that was assigned its value before", b.tolist(), [1.0, 2.0])
    swap_from, swap_to = tensor(1.0, device=device), tensor(2.0, device=device)

    @jit
    def swap() -> None:
        old = swap_from.detach()
        swap_from.assign(swap_to)
        swap_to.assign(old)

    for pair in ((2.0, 1.0), (1.0, 2.0), (2.0, 1.0)):
        swap()
        expect("two that are swapped", (swap_from.item(), swap_to.item()), pair)


class _PlannedError(Exception):
    """Raised on purpose."""


@named("jit: an exception leaves all state as it was")
def _exception(device: Device) -> None:
    p = _parameter(device, [1.0, 2.0])
    count, generator = tensor(0, device=device), Generator(3, device)
    broken = _broken_op(device)

    def step(fail: str) -> Tensor:
        (p * p).sum().backward()
        count.assign(count + 1)
        p.assign(p * 2)
        generator.bits((2,))
        if fail == "trace":
            raise _PlannedError
        return broken(p) if fail == "kernel" else p.sum()

    jitted = jit(step)
    try:
        for fail in ("trace", "kernel"):
            try:
                jitted(fail)
            except Exception as error:  # the backend may wrap the kernel's in one of its own
                if fail == "trace" and not isinstance(error, _PlannedError):
                    raise
            else:
                raise CheckError(f"an exception from the {fail} was lost")
            state = (p.tolist(), p.grad, count.item(), generator.state.tolist())
            expect(f"state after an exception from the {fail}", state, ([1, 2], None, 0, [3, 0, 0]))
    finally:
        del OPS["testing_broken"]
    jitted("")
    expect("state after a call that succeeds", (p.tolist(), count.item()), ([2, 4], 1))


def _broken_op(device: Device) -> Callable[[Tensor], Tensor]:
    def kernel(x: Any) -> Any:
        raise _PlannedError

    return custom_op(
        "testing_broken", infer=lambda x: x, kernels={device.backend.name: kernel}, replace=True
    )


@named("jit: random state moves on as in eager")
def _random(device: Device) -> None:
    generators = [Generator(7, device), Generator(7, device)]
    jitted = jit(lambda: generators[0].uniform((17,)))
    seen = []
    for call in range(3):
        got, wanted = jitted().tolist(), generators[1].uniform((17,)).tolist()
        expect(f"draw {call}", got, wanted)
        seen.append(got)
    if seen[0] == seen[1] or seen[1] == seen[2]:
        raise CheckError(f"two calls drew the same numbers: {seen[0][:3]}, ...")
    expect("the state after three draws", generators[0].state.tolist(), [7, 0, 3])


@named("jit: dropout is unbiased, and another one in each call")
def _dropout(device: Device) -> None:
    n, p = 4096, 0.25
    generator = Generator(11, device)
    ones = tensor(np.ones(n, np.float32), device=device)
    drop = jit(lambda x: apply("dropout", x, generator.bits((n,)), p=p))
    masks = []
    for _ in range(4):
        y = drop(ones).numpy()
        kept = y != 0
        scale = np.float32(1 / (1 - p))
        if (np.abs(y[kept] - scale) > 4 * np.finfo(np.float32).eps).any():
            raise CheckError(f"what is kept is {y[kept][:3].tolist()}, expected {scale}: 1/(1-p)")
        masks.append(kept)
    if (masks[0] == masks[1]).all():
        raise CheckError("two calls dropped the same elements")
    count = int(np.sum(masks))
    deviation = abs(count - 4 * n * (1 - p)) / np.sqrt(4 * n * p * (1 - p))
    if deviation > 4:
        raise CheckError(
            f"{count} of {4 * n} are kept with p={p}, {deviation:.1f} standard deviations off"
        )
