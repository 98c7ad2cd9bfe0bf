"""What runs find here: small data, imports that are behind them, and phases that they tell."""

from __future__ import annotations

import functools
from pathlib import Path

from hydra import version
from hydra.core.utils import setup_globals
from PIL import Image
from processes import marked, shared

from alsuite import loop, oracle
from alsuite.data import made_up, store
from alsuite.journal import Journal
from alsuite.labelling.page import Page
from alsuite.labelling.sheet import Sheet
from alsuite.matching.index import FeatureIndex
from alsuite.training import once

__all__ = ["laid_out", "prepared"]


def prepared() -> None:
    """Import what runs need, shorten what they wait for, and let each phase be told."""
    shared()
    version.setbase("1.3")
    setup_globals()
    once.EVERY = 5
    oracle.Page = functools.partial(Page, grace=0.05)  # type: ignore[assignment, misc]
    marks = ((loop.Run, "_cycle", "fit"), (loop.Run, "_query", "query"), (once, "_train", "generator"))
    marks += ((FeatureIndex, "__init__", "index"), (store, "built", "arrays"), (Sheet, "write", "answer"))
    for mark in (*marks, (Journal, "append", "journal"), (Journal, "ask", "journal")):
        marked(*mark)


def laid_out(home: Path) -> None:
    """Write small data: MNIST's arrays with made-up pictures, photos in two classes, and images with masks."""
    if (home / "mnist").is_dir():
        return
    data = made_up.made_up("mnist", (1, 28, 28, 10), train=400, test=50)
    (home / "mnist").mkdir(parents=True)
    test = data.tests["mnist"]
    both = {"train": data.train, "test": test}
    store.save(home / "mnist", **{name: (s.images.numpy(), s.targets.numpy()) for name, s in both.items()})
    for i in range(120):
        picture = Image.fromarray(data.train.images[i, 0].numpy())
        for path in (home / "photos" / str(i % 2) / f"{i}.png", home / "mine" / "images" / f"{i}.png"):
            path.parent.mkdir(parents=True, exist_ok=True)
            picture.resize((16, 16)).save(path)
        (home / "mine" / "masks").mkdir(exist_ok=True)
        Image.new("L", (16, 16), i % 3).save(home / "mine" / "masks" / f"{i}.png")
    (home / "mine" / "classes.txt").write_text("a\nb\nc\n")
