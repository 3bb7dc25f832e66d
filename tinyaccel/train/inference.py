"""What a trained model is asked: how good it is on data, what a picture or a row of a table is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from tinyaccel.data.dataset import Dataset, Indices, Labels, PerChannel, Pixels, normalize
from tinyaccel.data.images import is_image_name, read_image
from tinyaccel.data.registry import DATASETS, TABLES
from tinyaccel.data.table import read_rows
from tinyaccel.errors import ArgumentError, DataError
from tinyaccel.train.build import judged_by, load_parts, metrics_of
from tinyaccel.train.checkpoint import Checkpoint, Json
from tinyaccel.train.config import Config
from tinyaccel.train.display import progress as display
from tinyaccel.train.evaluation import Evaluation
from tinyaccel.train.run_folder import best_of, newest, no_run, steps_of
from tinyaccel.train.state import averaged
from tinyaccel.train.targets import remade
from tinyaccel.train.trainer import Trainer

BATCH_SIZE = 256
OnBad: TypeAlias = Callable[[Path, DataError], None]


class Trained:
    """A model from a checkpoint, with what it knows of its data; `Trained.read` makes it.

    path     the checkpoint's file
    epoch    how many epochs it has learnt
    shape    of one sample: (C, H, W) for pictures
    classes  their names, () for regression
    columns  of a table, by name, as they come in a sample; None of other data
    config   the options of the run; None if it wasn't one of `tinyaccel train`
    """

    def __init__(self, path: Path, checkpoint: Checkpoint, device: str | None) -> None:
        facts = cast("dict[str, Any]", checkpoint.facts)
        if not facts.get("model"):
            raise DataError(
                f"{path}: its model was made by a program, not by name (make_model); load it there "
                "with Trainer.load"
            )
        self.path, self.epoch = path, facts["progress"]["epoch"] - (not facts["progress"]["batch"])
        self.classes = tuple(facts["classes"])
        preprocess = facts["preprocess"]
        self.shape: tuple[int, ...] = tuple(preprocess["shape"])
        self.mean, self.std = _per_channel(preprocess["mean"]), _per_channel(preprocess["std"])
        self.config = Config.from_json(facts["config"]) if "config" in facts else None
        columns = facts.get("columns")
        self.columns: tuple[str, ...] | None = tuple(columns) if columns else None
        model = remade(checkpoint)
        model.load_state_dict(averaged(model, checkpoint))
        metrics = None if self.config is None else metrics_of(self.config, self.classes)
        self.trainer = Trainer(model, device=device or "auto", metrics=metrics)

    @classmethod
    def read(cls, checkpoint: str | Path, device: str | None = None) -> Trained:
        """The model in a checkpoint's file; in a run's folder, that of its best epoch, or its last.

        device  default: the best that is here. Raises `DataError` for a file that isn't there, is
        damaged, or is no checkpoint, and says what may have been meant.
        """
        path = Path(checkpoint)
        if path.is_file() and not is_image_name(path) and path.suffix.lower() not in TABLES:
            if path.name == "model.safetensors" and steps_of(path.parent):
                raise DataError(f"{path} has weights alone; name its folder, {path.parent}")
            return cls(path, Checkpoint.read(path), device)
        if not path.is_dir():
            raise no_run(path)
        best = best_of(path)
        if best.exists():
            return cls(best, Checkpoint.read(best), device)
        last, content, _ = newest(path)
        return cls(last, content, device)

    def evaluate(
        self,
        data: str | Path | None = None,
        *,
        data_dir: str | Path | None = None,
        batch_size: int = BATCH_SIZE,
        progress: str = "auto",
    ) -> Judgement:
        """How good the model is: on the test part of the data of its training, or on other data.

        data      a name or a path, as for `Config`; default: that of its training
        data_dir  the folder with the files of a data set that goes by name

        Pictures are read as those that it was trained on: size, colours, normalisation. Of data
        without a test part the validation's is taken, else all of it, and `Judgement.part` is then
        the name of its folder or file. Classes are matched by name.
        Raises `ArgumentError` for data of another shape or with classes that the model doesn't
        have, and what `load` raises.
        """
        config = self._config_for(data, data_dir)
        splits = load_parts(config, progress, display(progress), again=data is None)
        part, judged = judged_by(splits)
        learnt = data is not None and part == "training" and self._learnt_from(Path(data))
        if data is not None and part == "training":
            part = Path(data).expanduser().resolve().name
        seen = Seen(judged, self)
        evaluation = self.trainer.evaluate(seen, batch_size=batch_size)
        return Judgement(part, seen, evaluation, learnt)

    def _learnt_from(self, data: Path) -> bool:
        """Whether a path is that of the training data."""
        if self.config is None or self.config.data in DATASETS:
            return False
        own = Path(self.config.data)
        return data.expanduser().resolve() in (own.resolve(), (own / "train").resolve())

    def _config_for(self, data: str | Path | None, data_dir: str | Path | None) -> Config:
        if data is None and self.config is None:
            raise ArgumentError(
                f"evaluate: {self.path} doesn't say what data it was trained on; name some with "
                "--data (data=)"
            )
        own = self.config or Config()
        folder = None if data_dir is None else str(data_dir)
        if data is None:
            return own.merged({"data_dir": folder})
        # All of other data is judged, unless it has a test part.
        other = Config(data=str(data), data_dir=folder, validation_split=0.0)
        path = Path(data).expanduser()
        if path.is_dir() and other.data not in DATASETS and len(self.shape) == 3:
            pictures = {"image_size": self.shape[1:], "skip_bad": own.skip_bad}
            return other.merged(pictures | {"color": "gray" if self.shape[0] == 1 else "rgb"})
        if path.suffix.lower() not in TABLES:
            return other
        return other.merged({"label": own.label, "ignore": own.ignore})

    def predict(
        self,
        files: Sequence[str | Path],
        *,
        top: int = 3,
        invert: bool = False,
        batch_size: int = BATCH_SIZE,
        on_bad: OnBad | None = None,
    ) -> list[Prediction]:
        """What pictures, or the rows of tables, are: the most probable classes, or numbers.

        files   pictures, and folders whose pictures are all taken; for a model that was trained on
                a table CSV files, see `read_rows`
        top     how many classes to tell, the first of equals first
        invert  whether to swap dark and light, for a model of light letters on dark ground
        on_bad  told of each file that can't be read, which is left out then; default: the first one
                is raised

        Raises `DataError` for a file that can't be read, a folder without pictures; `ArgumentError`
        for files of another kind than the model takes.
        """
        if top < 1:
            raise ArgumentError(f"predict: top={top}; expected 1 or more")
        paths = self._checked(files, invert)
        found: list[Prediction] = []
        if len(self.shape) == 1:
            for path in paths:
                with _told(on_bad, path):
                    lines, x = read_rows(path, self._names())
                    found += self._answers([path] * len(x), lines, x, top, batch_size)
            return found
        for start in range(0, len(paths), batch_size):
            some: list[Path] = []
            pixels: list[Pixels] = []
            for path in paths[start : start + batch_size]:
                with _told(on_bad, path):
                    pixels.append(read_image(path, self.shape))
                    some.append(path)
            if some:
                whole = np.stack(pixels)
                lit = 255 - whole if invert else whole
                found += self._answers(some, [None] * len(some), lit, top, batch_size)
        return found

    def _checked(self, files: Sequence[str | Path], invert: bool) -> list[Path]:
        """The files to look at, which are of the kind that the model takes."""
        if len(self.shape) not in (1, 3):
            raise ArgumentError(
                f"predict: the model of {self.path} takes samples of {self.shape}, which no file "
                "has; use Trainer.predict in Python"
            )
        of_tables = len(self.shape) == 1
        wrong = [file for file in files if (Path(file).suffix.lower() in TABLES) != of_tables]
        if wrong and len(wrong) == len(files):  # one among others is told of when it is read
            kind = "no .csv file" if of_tables else "a table"
            takes = f"rows of {', '.join(self._names())}" if of_tables else "pictures"
            raise ArgumentError(
                f"predict: {wrong[0]} is {kind}; the model of {self.path} takes {takes}"
            )
        if of_tables and invert:
            raise ArgumentError("predict: --invert (invert=True) is for pictures; leave it out")
        return [Path(file) for file in files] if of_tables else _files(files)

    def _names(self) -> Sequence[str]:
        """Of the columns; numbers where they have none."""
        return self.columns or [str(i) for i in range(self.shape[0])]

    def normalized(self, pixels: Pixels) -> npt.NDArray[np.float32]:
        """Pixels as the model takes them, by the constants of its training data."""
        return normalize(pixels, self.mean, self.std)

    def _answers(
        self,
        paths: Sequence[Path],
        lines: Sequence[int | None],
        pixels: Pixels,
        top: int,
        batch_size: int,
    ) -> list[Prediction]:
        outputs = self.trainer.predict(self.normalized(pixels), batch_size=batch_size)
        found: list[Prediction] = []
        for path, line, row in zip(paths, lines, outputs, strict=True):
            if not self.classes:
                found.append(Prediction(path, (), tuple(row.ravel().tolist()), line))
                continue
            shares = _softmax(row[None])[0]
            order = np.argsort(-shares, kind="stable")[:top]
            names = map(self.named, order)
            answers = tuple(zip(names, shares[order].tolist(), strict=True))
            found.append(Prediction(path, answers, (), line))
        return found

    def named(self, answer: int) -> str:
        """The name of a class; a model may have outputs that no class belongs to."""
        return self.classes[answer] if answer < len(self.classes) else f"class {answer}"


class Prediction(NamedTuple):
    """What a model takes a picture or a row of a table for.

    path     the file
    answers  classes with their probabilities, the likeliest first; () of a model without classes
    values   the numbers that such a model gives; () of others
    line     of the file, for a row; None for a picture
    """

    path: Path
    answers: tuple[tuple[str, float], ...]
    values: tuple[float, ...] = ()
    line: int | None = None

    def as_json(self) -> dict[str, Json]:
        """For a program to read."""
        whole: dict[str, Json] = {"image" if self.line is None else "table": str(self.path)}
        if self.line is not None:
            whole["line"] = self.line
        if self.values:
            value: Json = self.values[0] if len(self.values) == 1 else [*self.values]
            return whole | {"value": value}
        classes: list[Json] = [{"class": name, "probability": p} for name, p in self.answers]
        name, probability = self.answers[0]
        return whole | {"class": name, "probability": probability, "classes": classes}


class Seen(Dataset):
    """A data set as a trained model sees it: normalised as its own, its classes in its own order.

    Raises `ArgumentError` for samples of another shape, or a class that the model doesn't have.
    """

    def __init__(self, data: Dataset, trained: Trained) -> None:
        self.data, self.trained = data, trained
        self.name, self.classes = data.name, trained.classes
        self.mean, self.std = trained.mean, trained.std
        if data.shape != trained.shape:
            raise ArgumentError(
                f"evaluate: {data.name} has samples of {data.shape}, but {trained.path} was "
                f"trained on {trained.shape}; expected the same: use its own data, or pictures "
                "in a folder, which are scaled"
            )
        unknown = [name for name in data.classes if name not in trained.classes]
        if unknown or bool(data.classes) != bool(trained.classes):
            what = f"has class {unknown[0]!r}" if unknown else "has other labels"
            raise ArgumentError(
                f"evaluate: {data.name} {what}; {trained.path} was trained on "
                f"{', '.join(trained.classes) or 'targets, not classes'}"
            )
        places = [trained.classes.index(name) for name in data.classes]
        self._y = np.array(places, np.int32)[data.y] if places else data.y

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample."""
        return self.data.shape

    @property
    def y(self) -> Labels:
        """The labels, by the model's numbers of the classes."""
        return self._y

    def pixels(self, indices: Indices) -> Pixels:
        """The samples as the data set keeps them."""
        return self.data.pixels(indices)


@dataclass(frozen=True)
class Judgement:
    """How good a model is on some data.

    part        "test", "validation" or "training": which part of the data it was; for all of other
                data the name of its folder or file
    data        what it was asked about
    evaluation  what came of it
    learnt      whether other data is what the model was trained on: then this says nothing of new
    """

    part: str
    data: Seen
    evaluation: Evaluation
    learnt: bool = False

    def mistakes(self, most: int) -> list[Mistake]:
        """The samples that were taken for another class, the surest mistakes first.

        Raises `ArgumentError` for targets, which aren't right or wrong.
        """
        if not self.data.classes:
            raise ArgumentError(
                f"mistakes: {self.data.name} has targets, not classes; leave the option out"
            )
        shares = _softmax(self.evaluation.outputs)
        said, labels = shares.argmax(1), self.evaluation.labels
        wrong = np.flatnonzero(said != labels)
        wrong = wrong[np.argsort(-shares[wrong, said[wrong]], kind="stable")][:most]
        paths = getattr(self.data.data, "paths", None)  # of pictures in files
        return [
            Mistake(
                str(paths[i]) if paths is not None else f"sample {i} of {self.data.name}",
                self.data.classes[labels[i]], self.data.trained.named(said[i]),
                float(shares[i, said[i]]),
            )
            for i in wrong
        ]  # fmt: skip


class Mistake(NamedTuple):
    """A sample that was taken for another class, and how sure the model was of it."""

    sample: str
    true: str
    answer: str
    probability: float


@contextmanager
def _told(on_bad: OnBad | None, path: Path) -> Iterator[None]:
    """A context in which a `DataError` is told of, if somebody wants to hear it, not raised."""
    try:
        yield
    except DataError as error:
        if on_bad is None:
            raise
        on_bad(path, error)


def _per_channel(value: float | list[float]) -> PerChannel:
    return tuple(value) if isinstance(value, list) else value


def _softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Probabilities (N, classes) of logits."""
    exact = logits.astype(np.float64)
    powers = np.exp(exact - exact.max(1, keepdims=True))
    shares: npt.NDArray[np.float64] = powers / powers.sum(1, keepdims=True)
    return shares


def _files(files: Sequence[str | Path]) -> list[Path]:
    """The files, and those in folders: what is a picture by its name, sorted."""
    found: list[Path] = []
    for file in files:
        path = Path(file)
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(p for p in path.rglob("*") if is_image_name(p) and p.name[0] != ".")
        if not inside:
            raise DataError(f"predict: folder {path} has no pictures; name one that has, or files")
        found += inside
    if not found:
        raise ArgumentError("predict: no pictures; name files or folders")
    return found
