"""A backend from elsewhere with a bug: the CPU's, but -0.0 comes out as 0.0."""

from tinyaccel.testing.mutants import MUTANTS, Planted


def mutant():
    return Planted(MUTANTS["the sign of zero is lost"])
