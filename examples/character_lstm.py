"""An LSTM learns to write, letter by letter, and is judged by how much there is to know.

    python examples/character_lstm.py [--device cpu] [--steps 300]
    python examples/character_lstm.py --text FILE --steps 2000 --hidden 256

Without --text the program writes its own text, of sentences like

    two cats follow a dog.

Each sentence is one of 512, all as likely: it tells ln 512 = 6.24 nats, and nobody can guess its
letters with less on average. So the loss has a floor that is known beforehand, ln 512 by the mean
length of a sentence, and a network that comes near it has understood all there is: the spelling,
and that "a cat follows" but "two cats follow", which must be remembered for a few letters.

The text is read in windows, many streams side by side. The state at the end of a window is where
the next one begins, so that what is remembered isn't cut off there; its gradient is.
"""

from __future__ import annotations

import argparse
import itertools
import math
from collections import Counter
from pathlib import Path

import numpy as np

import tinyaccel as ta
from tinyaccel import nn, optim
from tinyaccel.errors import TinyaccelError

NOUNS, VERBS = ("cat", "dog", "bird", "goat"), ("see", "hear", "like", "follow")
STREAMS, WINDOW = 32, 16  # how many places of the text are read at once, and how far in a step


def sentences() -> list[str]:
    """All sentences: a verb ends in s if its subject doesn't."""
    numbers = (("a", "", "s"), ("two", "s", ""))
    return [
        f"{many} {noun}{plural} {verb}{ending} {many_2} {noun_2}{plural_2}{end}"
        for (many, plural, ending), noun, verb in itertools.product(numbers, NOUNS, VERBS)
        for (many_2, plural_2, _), noun_2 in itertools.product(numbers, NOUNS)
        for end in (".", " again.")
    ]


class Writer(nn.Module):
    """An LSTM over letters, and a linear layer that says which comes next."""

    def __init__(self, letters: int, hidden: int) -> None:
        self.letters = letters
        self.lstm = nn.LSTM(letters, hidden, batch_first=True)
        self.head = nn.Linear(hidden, letters)

    def forward(
        self, x: ta.Tensor, h: ta.Tensor, c: ta.Tensor
    ) -> tuple[ta.Tensor, ta.Tensor, ta.Tensor]:
        """Letters (N, L) as numbers, and the state: logits (N, L, letters), and the next state."""
        output, (h, c) = self.lstm(ta.one_hot(x, num_classes=self.letters), (h, c))
        return self.head(output), h, c


def windows(numbers: np.ndarray) -> list[np.ndarray]:
    """The text as STREAMS streams, in windows of WINDOW letters and the one that follows."""
    length = len(numbers) // STREAMS
    streams = numbers[: length * STREAMS].reshape(STREAMS, length)
    starts = range(0, length - WINDOW, WINDOW)
    return [streams[:, start : start + WINDOW + 1] for start in starts]


def main() -> None:
    parser = argparse.ArgumentParser(description="An LSTM that writes letter by letter.")
    parser.add_argument("--text", type=Path, help="a text to learn; default: one made here")
    parser.add_argument("--device", default="cpu", help="cpu, xla:cpu, cuda, auto, ...")
    parser.add_argument("--steps", type=int, default=300, help="windows to learn from")
    parser.add_argument("--hidden", type=int, default=64, help="numbers that the LSTM remembers")
    parser.add_argument("--lr", type=float, default=3e-2, help="of the first step; falls to 0")
    parser.add_argument("--seed", type=int, default=0, help="of the text and of the weights")
    args = parser.parse_args()
    if args.steps < 1 or args.hidden < 1:
        parser.error("--steps and --hidden; expected 1 or more")

    rng = np.random.default_rng(args.seed)
    if args.text is None:
        everything = sentences()
        text = " ".join(rng.choice(everything, 2000))
    else:
        try:
            text = args.text.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            parser.exit(2, f"{parser.prog}: {args.text}: {error}; expected a text in UTF-8\n")
        if len(text) < 20 * STREAMS * WINDOW:
            parser.exit(2, f"{parser.prog}: {args.text} has {len(text)} letters; expected "
                           f"{20 * STREAMS * WINDOW} or more\n")  # fmt: skip
    alphabet = sorted(set(text))
    numbers = np.array([alphabet.index(letter) for letter in text], np.int32)
    learnt, kept = np.split(numbers, [len(numbers) * 4 // 5])  # the end is for the examination

    try:
        device = ta.get_device(args.device)
    except TinyaccelError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    ta.manual_seed(args.seed)
    model = Writer(len(alphabet), args.hidden).to(device)
    optimizer = optim.Adam(model.parameters(), lr=args.lr)
    print(f"{len(text):,} letters, {len(alphabet)} different ones; device {device}")

    def nothing_yet(streams: int) -> tuple[ta.Tensor, ta.Tensor]:
        zeros = ta.zeros((1, streams, args.hidden), device=device)
        return zeros, zeros

    def loss_of(
        window: ta.Tensor, h: ta.Tensor, c: ta.Tensor
    ) -> tuple[ta.Tensor, ta.Tensor, ta.Tensor]:
        """Nats a letter that the window costs, and the state behind it."""
        logits, h, c = model(window[:, :-1], h, c)
        loss = ta.cross_entropy(logits.reshape(-1, len(alphabet)), window[:, 1:].reshape(-1))
        return loss, h, c

    @ta.jit
    def step(
        window: ta.Tensor, h: ta.Tensor, c: ta.Tensor
    ) -> tuple[ta.Tensor, ta.Tensor, ta.Tensor]:
        optimizer.zero_grad()
        loss, h, c = loss_of(window, h, c)
        loss.backward()
        optim.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss, h.detach(), c.detach()

    examined = ta.jit(loss_of)

    def examine(part: np.ndarray) -> float:
        """Nats a letter on a part of the text; the first window, before which nothing is known,
        doesn't count."""
        (h, c), losses = nothing_yet(STREAMS), []
        with ta.no_grad():
            for window in windows(part):
                loss, h, c = examined(ta.tensor(window, device=device), h, c)
                losses.append(float(loss))
        return float(np.mean(losses[1:]))

    @ta.jit
    def chances(
        letter: ta.Tensor, h: ta.Tensor, c: ta.Tensor
    ) -> tuple[ta.Tensor, ta.Tensor, ta.Tensor]:
        logits, h, c = model(letter, h, c)
        return ta.softmax(logits[0, -1]), h, c

    def write(count: int) -> str:
        """How the network goes on after what it has read: each letter is drawn with the chances
        that it gives them, and is what it reads next."""
        letters = learnt[-WINDOW:].tolist()
        h, c = nothing_yet(1)
        with ta.no_grad():
            for place in range(WINDOW - 1 + count):
                given = ta.tensor([[letters[place]]], dtype="int32", device=device)
                p, h, c = chances(given, h, c)
                if place >= WINDOW - 1:
                    wide = p.numpy().astype(np.float64)
                    letters.append(int(rng.choice(len(alphabet), p=wide / wide.sum())))
        return "".join(alphabet[letter] for letter in letters[WINDOW:])

    frequencies = np.array([*Counter(text).values()]) / len(text)
    by_letter = float(-(frequencies * np.log(frequencies)).sum())
    print(f"before: {examine(kept):.3f} nats a letter, ln {len(alphabet)} = ", end="")
    print(f"{math.log(len(alphabet)):.3f}; knowing how frequent each is: {by_letter:.3f}")

    order = itertools.cycle(windows(learnt))
    h, c = nothing_yet(STREAMS)
    for number, window in enumerate(itertools.islice(order, args.steps)):
        optimizer.lr = args.lr * (1 - number / args.steps)  # a tensor: nothing is traced again
        loss, h, c = step(ta.tensor(window, device=device), h, c)
        if (number + 1) % max(1, args.steps // 5) == 0:
            print(f"step {number + 1:4}: {float(loss):.3f}")

    after = examine(kept)
    print(f"after:  {after:.3f} nats a letter, of a part that it hasn't read")
    assert after < by_letter, "it has learnt less than how frequent each letter is"
    sample = write(400)
    print(f"\nIt writes: {sample}\n")

    if args.text is None:
        floor = math.log(len(everything)) / np.mean([len(s) + 1 for s in everything])
        share = after / floor - 1
        print(f"There is no way below ln {len(everything)} by the mean length: {floor:.3f} nats.")
        print(f"It comes within {share:.0%}.")
        assert -0.03 < share < 0.1, "too far from the floor, or below it, where nobody gets"
        whole = [s.strip() + "." for s in sample.split(".")[1:-1]]  # the first may lack its start
        right = sum(s in set(everything) for s in whole)
        print(f"Of {len(whole)} sentences that it wrote, {right} are among the {len(everything)}.")
        assert right >= 0.7 * len(whole) > 0, "it writes what it never read"


if __name__ == "__main__":
    main()
