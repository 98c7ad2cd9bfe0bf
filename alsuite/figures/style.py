"""The look: the Okabe-Ito colours, which also the colour-blind tell apart, with dashes and markers beside them."""

import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["BLUE", "CLASS_COLOURS", "FAINT", "LABELS", "RC", "Look", "Style", "styles"]

RC: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.labelsize": 8.5,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#555555",
    "axes.linewidth": 0.7,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "xtick.color": "#333333",
    "ytick.color": "#333333",
    "lines.linewidth": 1.5,
    "lines.markersize": 4.5,
    "pdf.fonttype": 42,
    "savefig.dpi": 180,
}
FAINT = "#8a8a8a"
LABELS = {
    "accuracy": "Test accuracy (%)",
    "macro_f1": "Macro F-score (%)",
    "mean_iou": "Mean IoU (%)",
    "aubc": "Mean accuracy over the budget (%)",
    "entropy": "Entropy of added\nsamples (nats)",
    "wrong": "Misclassified among\nadded samples (%)",
    "agreement": "Matches with the annotator's label (%)",
    "query_seconds": "Query time (s)",
    "query_seconds_per_100": "Query time for\n100 samples (s)",
    "select_seconds": "Query time without\ntraining (s)",
    "fit_seconds": "Training time (s)",
    "preparation_seconds": "Preparation (s)",
    "cycles_until_cheaper": "Cycles until cheaper\nthan the scan",
    "f1_gain": "Gain in F-score (points)",
    "notes.memory": "Memory of a\nselection (bytes)",
    "labelled": "Labelled samples",
    "pool": "Pool size (samples)",
}

BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9"
GREY, BLACK = "#6f6f6f", "#000000"
COLOURS = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY)
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.5, 1.2, 1.5)))
MARKERS = ("o", "s", "^", "D", "v", "P")
CLASS_COLOURS = (*COLOURS, "#882255", "#999933", BLACK, "#b0b0b0")


@dataclass(frozen=True)
class Style:
    colour: str
    marker: str
    dash: Any = "-"


Look = Mapping[str, Style]


_FREE = [
    Style(colour, MARKERS[(place + turn) % len(MARKERS)], dash)
    for turn, dash in enumerate(DASHES)
    for place, colour in enumerate(COLOURS)
]
_KNOWN = {
    "full": Style(BLACK, "*", (0, (4, 2))),
    "random": Style(GREY, "o"),
    "svm": Style(GREY, "o"),
    "entropy": Style(VERMILLION, "s", DASHES[1]),
    "max entropy": Style(VERMILLION, "s", DASHES[1]),
    "min distance": Style(PURPLE, "v", DASHES[1]),
    "minimum distance": Style(PURPLE, "v", DASHES[1]),
    "margin": Style(PURPLE, "v", DASHES[1]),
    "least confidence": Style(SKY, "P", DASHES[3]),
    "asal": Style(BLUE, "^"),
    "asal gray": Style(BLUE, "^"),
    "asal rgb": Style(BLUE, "^"),
    "asal autoencoder": Style(GREEN, "D", DASHES[3]),
    "asal discriminator": Style(ORANGE, "P", DASHES[2]),
    "asal wgan gp": Style(BLUE, "^"),
    "asal dcgan": Style(PURPLE, "D", DASHES[2]),
    "gaal": Style(SKY, "v", DASHES[1]),
    "gaal wgan gp": Style(SKY, "v", DASHES[1]),
    "gaal dcgan": Style(BLACK, "s", DASHES[3]),
    "vaal": Style(BLUE, "^"),
    "ta vaal": Style(SKY, "v", DASHES[1]),
    "m2 vaal": Style(GREEN, "D"),
    "aalu": Style(ORANGE, "D"),
    "coreset": Style(GREEN, "P", DASHES[1]),
    "ensemble": Style(ORANGE, "s", DASHES[3]),
    "mc dropout": Style(PURPLE, "v", DASHES[2]),
    "dbal": Style(SKY, "D", DASHES[1]),
    "qbc": Style(VERMILLION, "s", DASHES[1]),
    "suggestive": Style(ORANGE, "v", DASHES[2]),
    "active gan": Style(BLUE, "^"),
    "acgan": Style(ORANGE, "s", DASHES[1]),
    "acgan filtered": Style(GREEN, "D", DASHES[3]),
}


def styles(names: Iterable[str]) -> dict[str, Style]:
    """A style for each series: known names always have theirs, others one drawn by their name, free in this figure."""
    plain = {name: " ".join(_plain(name).split()) for name in sorted(set(names))}
    chosen = {name: _KNOWN[key] for name, key in plain.items() if key in _KNOWN}
    for name, key in plain.items():
        if name not in chosen:
            chosen[name] = _free(key, list(chosen.values()))
    return chosen


def _plain(name: str) -> str:
    return re.sub("[·_]", " ", name).replace("al min distance", "al")  # asal_min_distance looks like asal


def _free(name: str, taken: list[Style]) -> Style:
    turn = zlib.crc32(name.encode()) % len(COLOURS)
    colours = [style.colour for style in taken]
    looks = [(style.colour, style.dash) for style in taken]
    ranked = sorted(_FREE[turn:] + _FREE[:turn], key=lambda s: ((s.colour, s.dash) in looks, colours.count(s.colour)))
    return ranked[0]
