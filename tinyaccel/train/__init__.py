"""Training: the Trainer, what it measures, and the files that it leaves."""

from tinyaccel.train.callbacks import Callback, EarlyStopping, LambdaCallback
from tinyaccel.train.checkpoint import Checkpoint
from tinyaccel.train.config import Config
from tinyaccel.train.display import Bar, JsonLines, Lines, Progress
from tinyaccel.train.evaluation import Evaluation
from tinyaccel.train.history import History
from tinyaccel.train.inference import Judgement, Mistake, Prediction, Trained
from tinyaccel.train.metrics import METRICS, accuracy, count_correct
from tinyaccel.train.plots import compare_curves
from tinyaccel.train.program import Result, resume, run
from tinyaccel.train.recipes import RECIPES, Recipe
from tinyaccel.train.report import Report
from tinyaccel.train.signals import Interrupted, Terminated
from tinyaccel.train.tensorboard import TensorBoard
from tinyaccel.train.trainer import Trainer
from tinyaccel.train.weights import load_weights, save_weights

__all__ = [
    "METRICS",
    "RECIPES",
    "Bar",
    "Callback",
    "Checkpoint",
    "Config",
    "EarlyStopping",
    "Evaluation",
    "History",
    "Interrupted",
    "JsonLines",
    "Judgement",
    "LambdaCallback",
    "Lines",
    "Mistake",
    "Prediction",
    "Progress",
    "Recipe",
    "Report",
    "Result",
    "TensorBoard",
    "Terminated",
    "Trained",
    "Trainer",
    "accuracy",
    "compare_curves",
    "count_correct",
    "load_weights",
    "resume",
    "run",
    "save_weights",
]
