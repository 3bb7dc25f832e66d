"""The gallery of mutants: backends with one planted bug each, all of which the kit must kill.

A check that no mutant fails may be one that can't fail. `python -m tinyaccel.testing.mutants`
plants them one after another and prints which check found each, and the shrunk counterexample.
"""

from tinyaccel.testing.mutants.memory import MEMORY
from tinyaccel.testing.mutants.mutant import Mutant, Planted, gallery
from tinyaccel.testing.mutants.networks import NETWORKS
from tinyaccel.testing.mutants.numbers import NUMBERS
from tinyaccel.testing.mutants.rules import RULES

MUTANTS = gallery(NUMBERS, NETWORKS, RULES, MEMORY)

__all__ = ["MUTANTS", "Mutant", "Planted", "gallery"]
