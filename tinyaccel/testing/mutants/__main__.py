"""`python -m tinyaccel.testing.mutants [NAME ...]`: plant every mutant, and print who finds it."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tinyaccel.testing.mutants import MUTANTS
from tinyaccel.testing.mutants.killing import Kill, kill

_LONG = 150  # characters of a counterexample in the table


def row(number: int, outcome: Kill) -> str:
    """A line of the table, in Markdown."""
    mutant, said = outcome.mutant, outcome.divergence
    named = "-" if not mutant.can_diverge else "nothing" if said is None else f"`{said.op}`"
    found = ", ".join(outcome.found) or "**SURVIVED**"
    found += " (jitted only)" if outcome.jit_only else ""
    text = outcome.counterexample.replace("|", "\\|")
    text = text if len(text) <= _LONG else text[: _LONG - 3] + "..."
    cells = [str(number), mutant.name, f"`{mutant.op}`", found, named, text]
    return "| " + " | ".join(cells) + " |"


def main(arguments: Sequence[str]) -> int:
    """The table of all mutants, or of those whose name holds an argument; 1 if one survives."""
    chosen = {
        number: mutant
        for number, mutant in enumerate(MUTANTS.values(), start=1)
        if not arguments or any(a in mutant.name for a in arguments)
    }
    if not chosen:
        print(f"no mutant's name holds {' or '.join(arguments)}", file=sys.stderr)
        return 2
    print("| | mutant | op | found by | compare names | counterexample |")
    print("|---|---|---|---|---|---|")
    survived = 0
    for number, mutant in chosen.items():
        outcome = kill(mutant)
        survived += not outcome.killed
        print(row(number, outcome), flush=True)
    print(f"\n{len(chosen) - survived} of {len(chosen)} killed")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
