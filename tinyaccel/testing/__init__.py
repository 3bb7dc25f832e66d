"""The conformance kit: hold any backend, op by op, to its error budgets.

Needs hypothesis and mpmath: `pip install 'tinyaccel[test]'`.

>>> check_op("exp", "cpu", examples=2).ok
True
"""

from tinyaccel.testing.check import (
    Report,
    Result,
    check_backend,
    check_conventions,
    check_device,
    check_op,
    kernel_of,
)
from tinyaccel.testing.checks import CHECKS, Check
from tinyaccel.testing.compare import compare, compare_training
from tinyaccel.testing.conventions import CONVENTIONS, Convention
from tinyaccel.testing.derivatives import trace_call
from tinyaccel.testing.divergence import Agreement, Divergence
from tinyaccel.testing.strategies import Case, accepted, cases, smooth_cases
from tinyaccel.testing.watch import watched

__all__ = [
    "CHECKS",
    "CONVENTIONS",
    "Agreement",
    "Case",
    "Check",
    "Convention",
    "Divergence",
    "Report",
    "Result",
    "accepted",
    "cases",
    "check_backend",
    "check_conventions",
    "check_device",
    "check_op",
    "compare",
    "compare_training",
    "kernel_of",
    "smooth_cases",
    "trace_call",
    "watched",
]
