"""The differential fuzzer: random programs, forward and backward, on several devices.

program    programs as data, and as ordinary library code
exact      the exact value of each step; what can't be judged is rejected
places     shapes and attributes for an op, around what is there already
generate   random programs
judge      running one on a device, and holding it to its budget
shrink     from a program that fails to the shortest
source     a program as Python
campaign   `fuzz` itself, and its report
"""

from tinyaccel.testing.fuzz.campaign import Failure, FuzzReport, fuzz
from tinyaccel.testing.fuzz.generate import generate, unplaced
from tinyaccel.testing.fuzz.program import Input, Program, Ref, Step

__all__ = ["Failure", "FuzzReport", "Input", "Program", "Ref", "Step", "fuzz", "generate",
           "unplaced"]  # fmt: skip
