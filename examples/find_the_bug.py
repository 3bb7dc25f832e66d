"""Find the bug in this backend: one of many planted ones, and what the conformance kit says of it.

    python examples/find_the_bug.py [--bug 7] [--reveal]

Somebody has written a backend and made one mistake. Its results look right: a network trains on it,
a little worse than it should. You get what the kit gets: a counterexample, made as small as it
goes, in units of the error that would be permitted. Say which op is wrong, and how; --reveal
tells. Without --bug the date chooses one.
"""

from __future__ import annotations

import argparse
import textwrap
from datetime import date

from tinyaccel.testing import check_backend, check_device
from tinyaccel.testing.mutants import MUTANTS, Mutant
from tinyaccel.testing.mutants.killing import kind_of


def wrapped(text: str) -> str:
    return textwrap.fill(text, 96, initial_indent="  ", subsequent_indent="  ")


def suspects(mutant: Mutant) -> list[str]:
    """The guilty op, and some that are not: each next to it in the gallery."""
    ops = list(dict.fromkeys(m.op for m in MUTANTS.values()))
    at = ops.index(mutant.op)
    return sorted({ops[(at + step) % len(ops)] for step in (-2, 0, 3, 7)})


def main() -> None:
    parser = argparse.ArgumentParser(description="Find the bug in a backend.")
    parser.add_argument("--bug", type=int, help=f"which one, 1 to {len(MUTANTS)}")
    parser.add_argument("--reveal", action="store_true", help="say what it was")
    args = parser.parse_args()
    number = args.bug if args.bug is not None else date.today().toordinal() % len(MUTANTS) + 1
    if not 1 <= number <= len(MUTANTS):
        parser.error(f"--bug {number}; there are bugs 1 to {len(MUTANTS)}")
    mutant = list(MUTANTS.values())[number - 1]

    print(f"Bug {number} of {len(MUTANTS)}. One of these is wrong: {', '.join(suspects(mutant))}")
    with mutant.planted() as device:
        results = check_backend(device, suspects(mutant)).results + check_device(device).results
    print(f"The kit ran {sum(r.examples for r in results):,} examples. What failed first:")
    failed = [r for r in results if not r.ok]
    for kind, result in {kind_of(r): r for r in reversed(failed)}.items():
        print(wrapped(f"[{kind}] {result.failure}"))
    print(f"  in all {len(failed)} of {len(results)} checks")
    assert failed, "the kit let a bug through"
    if args.reveal:
        print(f"It was {mutant.op}: {mutant.name}.")
        print(wrapped(f"How one gets there: {mutant.because}."))
    else:
        print(f"What is it? python examples/find_the_bug.py --bug {number} --reveal tells.")


if __name__ == "__main__":
    main()
