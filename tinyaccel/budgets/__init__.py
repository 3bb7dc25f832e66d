"""Error budgets: how far each value of a graph may be from the exact one, and whether it is.

A running error analysis. Every value is computed once more in higher precision, and beside it goes
a bound on the error of whatever a backend computes in the graph's own dtypes: what the op itself
is allowed (`tinyaccel.op.Budget`), and what becomes of the errors of its inputs.
N. Higham, "Accuracy and Stability of Numerical Algorithms", 2nd edition, SIAM 2002, section 3.3.
"""

from tinyaccel.budgets.judge import Worst, compare, measure, within
from tinyaccel.budgets.spread import spread
from tinyaccel.budgets.values import Bounded
from tinyaccel.budgets.walk import bounds

__all__ = ["Bounded", "Worst", "bounds", "compare", "measure", "spread", "within"]
