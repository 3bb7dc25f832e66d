"""Training: the loop, what it measures, and the files that it leaves."""

from tinyaccel.train.loop import Evaluation, Result, evaluate, fit
from tinyaccel.train.metrics import accuracy, count_correct
from tinyaccel.train.program import run
from tinyaccel.train.recipes import RECIPES, Recipe
from tinyaccel.train.record import Row
from tinyaccel.train.weights import load_weights, save_weights

__all__ = [
    "RECIPES",
    "Evaluation",
    "Recipe",
    "Result",
    "Row",
    "accuracy",
    "count_correct",
    "evaluate",
    "fit",
    "load_weights",
    "run",
    "save_weights",
]
