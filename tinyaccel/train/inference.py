"""What a trained model is asked: how good it is on data, and what is on a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from tinyaccel.data.dataset import Dataset, Indices, Labels, PerChannel, Pixels, normalize
from tinyaccel.data.images import is_image_name, read_image
from tinyaccel.data.registry import DATASETS, TABLES
from tinyaccel.errors import ArgumentError, DataError
from tinyaccel.nn.models import make_model
from tinyaccel.train.build import judged_by, load_parts, metrics_of
from tinyaccel.train.checkpoint import Checkpoint, Json
from tinyaccel.train.config import Config
from tinyaccel.train.display import progress as display
from tinyaccel.train.evaluation import Evaluation
from tinyaccel.train.run_folder import best_of, newest
from tinyaccel.train.state import averaged
from tinyaccel.train.trainer import Trainer

BATCH_SIZE = 256


class Trained:
    """A model from a checkpoint, with what it knows of its data; `Trained.read` makes it.

    path     the checkpoint's file
    epoch    how many epochs it has learnt
    shape    of one sample: (C, H, W) for pictures
    classes  their names, () for regression
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
        model = make_model(**facts["model"])
        model.load_state_dict(averaged(model, checkpoint))
        metrics = None if self.config is None else metrics_of(self.config, self.classes)
        self.trainer = Trainer(model, device=device or "auto", metrics=metrics)

    @classmethod
    def read(cls, checkpoint: str | Path, device: str | None = None) -> Trained:
        """The model in a checkpoint's file; in a run's folder, that of its best epoch, or its last.

        device  default: the best that is here. Raises `DataError` for a file that isn't there, is
        damaged, or is no checkpoint.
        """
        path = Path(checkpoint)
        if not path.is_dir():
            return cls(path, Checkpoint.read(path), device)
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
        without a test part the validation's is taken, else all of it. Classes are matched by name.
        Raises `ArgumentError` for data of another shape or with classes that the model doesn't
        have, and what `load` raises.
        """
        splits = load_parts(self._config_for(data, data_dir), progress, display(progress))
        part, judged = judged_by(splits)
        if data is not None and part == "training":
            part = "data"  # this model wasn't trained on it
        seen = Seen(judged, self)
        return Judgement(part, seen, self.trainer.evaluate(seen, batch_size=batch_size))

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
        return other.merged({"label": own.label}) if path.suffix in TABLES else other

    def predict(
        self,
        images: Sequence[str | Path],
        *,
        top: int = 3,
        invert: bool = False,
        batch_size: int = BATCH_SIZE,
    ) -> list[Prediction]:
        """What is on pictures: the most probable classes of each, the first of equals first.

        images  files, and folders whose pictures are all taken
        top     how many classes to tell
        invert  whether to swap dark and light, for a model of light letters on dark ground

        Raises `DataError` for a file that can't be read, a folder without pictures; `ArgumentError`
        if the model doesn't take pictures, or has no classes.
        """
        if len(self.shape) != 3 or not self.classes:
            what = "rows of a table" if len(self.shape) == 1 else f"samples of {self.shape}"
            raise ArgumentError(
                f"predict: the model of {self.path} takes {what} and has {len(self.classes)} "
                "classes; expected one that tells pictures apart: use Trainer.predict in Python"
            )
        if top < 1:
            raise ArgumentError(f"predict: top={top}; expected 1 or more")
        files = _files(images)
        found: list[Prediction] = []
        for start in range(0, len(files), batch_size):
            some = files[start : start + batch_size]
            pixels = np.stack([read_image(path, self.shape) for path in some])
            inputs = self.normalized(255 - pixels if invert else pixels)
            shares = _softmax(self.trainer.predict(inputs, batch_size=batch_size))
            found += [self._answer(*pair, top) for pair in zip(some, shares, strict=True)]
        return found

    def normalized(self, pixels: Pixels) -> npt.NDArray[np.float32]:
        """Pixels as the model takes them, by the constants of its training data."""
        return normalize(pixels, self.mean, self.std)

    def _answer(self, path: Path, shares: npt.NDArray[np.float64], top: int) -> Prediction:
        order = np.argsort(-shares, kind="stable")[:top]
        names = map(self.named, order)
        return Prediction(path, tuple(zip(names, shares[order].tolist(), strict=True)))

    def named(self, answer: int) -> str:
        """The name of a class; a model may have outputs that no class belongs to."""
        return self.classes[answer] if answer < len(self.classes) else f"class {answer}"


class Prediction(NamedTuple):
    """What a model takes a picture for: classes with their probabilities, the likeliest first."""

    path: Path
    answers: tuple[tuple[str, float], ...]

    def as_json(self) -> dict[str, Json]:
        """For a program to read."""
        classes: list[Json] = [{"class": name, "probability": p} for name, p in self.answers]
        return {
            "image": str(self.path), "class": self.answers[0][0],
            "probability": self.answers[0][1], "classes": classes,
        }  # fmt: skip


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

    part        "test", "validation" or "training": which part of the data it was; "data" for all
                of other data
    data        what it was asked about
    evaluation  what came of it
    """

    part: str
    data: Seen
    evaluation: Evaluation

    def mistakes(self, most: int) -> list[Mistake]:
        """The samples that were taken for another class, the surest mistakes first."""
        shares = _softmax(self.evaluation.outputs)
        said, labels = shares.argmax(1), self.evaluation.labels
        wrong = np.flatnonzero(said != labels)
        wrong = wrong[np.argsort(-shares[wrong, said[wrong]], kind="stable")][:most]
        paths = getattr(self.data.data, "paths", None)  # of pictures in files
        return [
            Mistake(
                str(paths[i]) if paths is not None else f"sample {i}",
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


def _per_channel(value: float | list[float]) -> PerChannel:
    return tuple(value) if isinstance(value, list) else value


def _softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Probabilities (N, classes) of logits."""
    exact = logits.astype(np.float64)
    powers = np.exp(exact - exact.max(1, keepdims=True))
    shares: npt.NDArray[np.float64] = powers / powers.sum(1, keepdims=True)
    return shares


def _files(images: Sequence[str | Path]) -> list[Path]:
    """The files, and those in folders: what is a picture by its name, sorted."""
    found: list[Path] = []
    for image in images:
        path = Path(image)
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
