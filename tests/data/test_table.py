"""Tables: which cells are numbers, labels and names; and every fault by line and column."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from tinyaccel import data
from tinyaccel.data import ArrayDataset
from tinyaccel.errors import ArgumentError, DataError

IRIS = "length,width,kind\n1,10,rose\n3,30,daisy\n5,80,rose\n"


def written(folder: Path, text: str | bytes, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_numbers_labels_and_names(tmp_path: Path) -> None:
    """The last column has the classes, by name; the others are standardised, each by itself."""
    train, test = data.table(written(tmp_path, IRIS))
    assert (train.classes, train.y.tolist(), test) == (("daisy", "rose"), [1, 0, 1], None)
    assert train.x.tolist() == [[1, 10], [3, 30], [5, 80]]
    x, _ = train.batch(slice(None))
    wanted = (train.x - train.x.mean(0)) / train.x.std(0)
    np.testing.assert_allclose(x, wanted, rtol=1e-5, atol=1e-6)
    assert x.dtype == np.float32


SAME = {
    "no heading": "1,10,rose\n3,30,daisy\n5,80,rose\n",
    "semicolons, blank lines": "l;w;k\n\n1;10;rose\n3;30;daisy\n;;\n5;80;rose",
    "tabs": "l\tw\tk\n1\t10\trose\n3\t30\tdaisy\n5\t80\trose\n",
    "quotes, windows, spaces, mark": '\ufeff"l, cm", w ,k\r\n1e0, 10,"rose"\r\n+3,30, daisy\r\n'
                                     "5,80,rose\r\n",
}  # fmt: skip


@pytest.mark.parametrize("case", SAME)
def test_other_spellings_are_the_same_table(tmp_path: Path, case: str) -> None:
    """With or without a heading, other separators, quotes, line ends, a byte order mark."""
    train, _ = data.table(written(tmp_path, SAME[case]))
    assert train.x.tolist() == [[1, 10], [3, 30], [5, 80]]
    assert (train.classes, train.y.tolist()) == (("daisy", "rose"), [1, 0, 1])


@pytest.mark.parametrize("label", ["kind", 0, "-3", "0"])
def test_the_label_by_name_or_number(tmp_path: Path, label: str | int) -> None:
    """Any column may have the labels, and others may be left out."""
    path = written(tmp_path, "kind,number,a,b\nx,1,2,3\ny,2,4,5\n")
    ignored = ["number"] if label != "-3" else ["kind"]
    train, _ = data.table(path, label=label, ignore=ignored)
    assert train.x.tolist() == [[2, 3], [4, 5]]
    assert train.classes == (("x", "y") if label != "-3" else ("1", "2"))


def test_labels_that_are_numbers(tmp_path: Path) -> None:
    """Whole ones are classes in order, whatever they start from; others are to be fitted."""
    train, _ = data.table(written(tmp_path, "1,10\n2,5.0\n3,10\n4,-1\n"))
    assert (train.classes, train.y.tolist()) == (("-1", "5", "10"), [2, 1, 2, 0])
    train, _ = data.table(written(tmp_path, "1,10.5\n2,5\n"))
    assert (train.classes, train.y.tolist(), train.y.dtype) == ((), [10.5, 5], np.float32)
    train, _ = data.table(written(tmp_path, "1,10\n2,5\n"), regression=True)
    assert (train.classes, train.y.tolist()) == ((), [10, 5])
    train, _ = data.table(written(tmp_path, "1,1.5\n2,2\n"), regression=False)
    assert train.classes == ("1.5", "2")


def test_a_heading_of_numbers(tmp_path: Path) -> None:
    """header= says what can't be seen; the first row is a sample otherwise."""
    path = written(tmp_path, "1980,1990\n3,0\n4,1\n")
    assert len(data.table(path).train) == 3
    assert data.table(path, header=True, label="1990").train.x.tolist() == [[3], [4]]


def test_parts_in_proportion(tmp_path: Path, rng: np.random.Generator) -> None:
    """Held-out rows are a pure function of the seed; only training rows set mean and std."""
    rows = [f"{rng.normal()},{i},{'ab'[i % 4 == 0]}" for i in range(40)]
    path = written(tmp_path, "\n".join(rows))
    one, same, other = (
        data.table(path, validation_split=0.25, test_split=0.2, seed=seed) for seed in (1, 1, 2)
    )
    assert one.test is not None
    assert isinstance(one.validation, ArrayDataset)
    parts = [one.train, one.validation, one.test]
    assert [np.bincount(part.y).tolist() for part in parts] == [[18, 6], [6, 2], [6, 2]]
    assert sorted(np.concatenate([part.x[:, 1] for part in parts])) == list(range(40))
    for part in parts:
        np.testing.assert_allclose(part.mean, one.train.x.mean(0, np.float64), rtol=1e-6)
        np.testing.assert_allclose(part.std, one.train.x.std(0, np.float64), rtol=1e-6)
    assert np.array_equal(one.test.x, same.test.x)  # type: ignore[union-attr]  # as above
    assert not np.array_equal(one.train.x, other.train.x)


def test_a_constant_column(tmp_path: Path) -> None:
    """What never changes becomes 0, not NaN."""
    train, _ = data.table(written(tmp_path, "7,1,a\n7,2,b\n"))
    assert train.batch([0, 1])[0].tolist() == [[0, -1], [0, 1]]


HEAD = "length,width,kind\n"
LEAVE = r": mend or delete that row, or leave the column out with --ignore"
WRONG: dict[str, tuple[str | bytes, str]] = {
    "no number": (HEAD + "1,2,a\n1,red,b\n", r"line 3, column 'width': 'red'; expected a finite "
                                             rf"number{LEAVE} width"),
    "nothing": (HEAD + "1,2,a\n\n,2,b\n",
                rf"line 4, column 'length': nothing; expected .*{LEAVE} length"),
    "words": ("size,a b,c,kind\n1,x,red,a\n2,y,,b\n",
              r"columns 'a b', 'c' have words in every row \('x', ...\); expected numbers: leave "
              r"them out with --ignore 'a b,c'"),
    "a column of words": ("1,x,a\n2,3,a\n3,red,b\n", r".*delete that row, .*--ignore 1"),
    "decimal comma": ("a;b;k\n1;2,5;x\n2;3,5;y\n", r"line 2, column 'b': '2,5'; expected a "
                      r"decimal point, not a comma: save the table in that form"),
    "nan": (HEAD + "1,2,a\n3,nan,b\n", r"line 3, column 'width': 'nan'; expected a finite num.*"),
    "too large": (HEAD + "1,1e999,a\n2,1,b\n",
                  r"line 2, column 'width': '1e999'; expected a finite .*"),
    "no label": (HEAD + "1,2,\n", r"line 2, column 'kind': nothing; expected a label.*"),
    "quoted lines": ('a,b\n"1",x\n2,"y\ny"\nz,x\n', r"line 5, column 'a': 'z'; expected .*"),
    "too few": (HEAD + "1,2,a\n1,2\n", r"line 3 has 2 cells; expected 3, as in the first row: .*"),
    "empty": ("\n\n", r"is empty; expected a row for each sample"),
    "heading only": (HEAD, r"has no rows below its heading; expected one a sample"),
    "one column": ("a b\n1 2\n", r"has 1 column, none left beside the label; expected .*"),
    "one class": ("1,a\n2,a\n", r"has one label, 'a'; expected at least two classes"),
    "latin-1": ("1,\xe9\n".encode("latin-1"), r"isn't UTF-8 \(byte 2\); save it as CSV in UTF-8"),
    "quotes": ('1,"a\n2,b\n', r"line 2 isn't CSV \(.*\); mend its quotes"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_each_fault_is_one_line(tmp_path: Path, case: str) -> None:
    """The line names the file, the line and the column, what arrived and what to do."""
    text, pattern = WRONG[case]
    path = written(tmp_path, text)
    with pytest.raises(DataError) as caught:
        data.table(path)
    assert re.fullmatch(rf"{re.escape(str(path))}:? {pattern}", str(caught.value)), caught.value


def test_columns_and_files_that_arent_there(tmp_path: Path) -> None:
    """A near name is suggested; numbers past the last column and missing files are refused."""
    path = written(tmp_path, IRIS)
    with pytest.raises(
        ArgumentError, match=r"no column 'knd', did you mean 'kind'\?; expected one"
    ):
        data.table(path, label="knd")
    with pytest.raises(
        ArgumentError, match=r"no column 3; expected one of length, width, kind, or"
    ):
        data.table(path, ignore=[3])
    with pytest.raises(DataError, match=r"x.csv can't be read: No such file"):
        data.table(tmp_path / "x.csv")
    with pytest.raises(DataError, match=r"has label 'rose'; expected finite numbers to fit"):
        data.table(path, regression=True)
