"""The look: the Okabe-Ito colours, which also the colour-blind tell apart, with dashes and markers beside them.

A series of a known name has the same style in all figures. Where several known ones are shown in several ways, such as
"VAAL 5 % a cycle", each keeps its colour. Others get a style that is free in their figure, drawn by a checksum of the
name, so that the same set of names always looks the same.
"""

import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.typing import LineStyleType, RcKeyType

__all__ = ["BLACK", "BLUE", "CLASS_COLOURS", "DASHES", "FAINT", "LABELS", "MARKERS", "RC", "Look", "Style", "styles"]

RC: "dict[RcKeyType, object]" = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.labelsize": 8.5,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "legend.handlelength": 4.5,
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
DASHES: "tuple[LineStyleType, ...]" = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.5, 1.2, 1.5)))
MARKERS = ("o", "s", "^", "D", "v", "P")
NUMBER = re.compile(r"\d+(?:\.\d+)?")
CLASS_COLOURS = (*COLOURS, "#882255", "#999933", BLACK, "#b0b0b0")


@dataclass(frozen=True)
class Style:
    """How a series is drawn.

    colour: a hexadecimal RGB value
    marker, dash: as matplotlib calls them
    """

    colour: str
    marker: str
    dash: "LineStyleType" = "-"


Look = Mapping[str, Style]

FREE = [
    Style(colour, MARKERS[(place + turn) % len(MARKERS)], dash)
    for turn, dash in enumerate(DASHES)
    for place, colour in enumerate(COLOURS)
]
KNOWN = {
    "fully supervised": Style(BLACK, "*", (0, (4, 2))),
    "random": Style(GREY, "o"),
    "SVM": Style(GREY, "o"),
    "max entropy": Style(VERMILLION, "s", DASHES[1]),
    "minimum distance": Style(PURPLE, "v", DASHES[1]),
    "margin": Style(PURPLE, "v", DASHES[1]),
    "least confidence": Style(SKY, "P", DASHES[3]),
    "ASAL": Style(BLUE, "^"),
    "ASAL gray": Style(BLUE, "^"),
    "ASAL RGB": Style(BLUE, "^"),
    "ASAL auto-encoder": Style(GREEN, "D", DASHES[3]),
    "ASAL discriminator": Style(ORANGE, "P", DASHES[2]),
    "ASAL WGAN-GP": Style(BLUE, "^"),
    "ASAL DCGAN": Style(PURPLE, "D", DASHES[2]),
    "GAAL": Style(SKY, "v", DASHES[1]),
    "GAAL WGAN-GP": Style(SKY, "v", DASHES[1]),
    "GAAL DCGAN": Style(BLACK, "s", DASHES[3]),
    "VAAL": Style(BLUE, "^"),
    "TA-VAAL": Style(SKY, "v", DASHES[1]),
    "M2-VAAL": Style(GREEN, "D"),
    "M2-VAAL (no adversarial term)": Style(ORANGE, "s", DASHES[3]),
    "AALU": Style(ORANGE, "D"),
    "core-set": Style(GREEN, "P", DASHES[1]),
    "ensemble": Style(ORANGE, "s", DASHES[3]),
    "MC-Dropout": Style(PURPLE, "v", DASHES[2]),
    "DBAL": Style(SKY, "D", DASHES[1]),
    "QBC": Style(BLACK, "s", DASHES[2]),
    "suggestive annotation": Style(ORANGE, "v", DASHES[2]),
    "ActiveGAN": Style(BLUE, "^"),
    "AC-GAN": Style(ORANGE, "s", DASHES[1]),
    "AC-GAN+F": Style(GREEN, "D", DASHES[3]),
}


def styles(names: Iterable[str]) -> dict[str, Style]:
    """Give each series a style: known names always have theirs, others one drawn by their name, free in this figure."""
    names = sorted(set(names))
    given = {name: KNOWN[name] for name in names if name in KNOWN} | _in_several_ways(names)
    for name in names:
        if name not in given:
            given[name] = _free(name, list(given.values()))
    return given


def _in_several_ways(names: Sequence[str]) -> dict[str, Style]:
    """Give known series that are shown in several ways their colour, and each way one dash and marker in all of them.

    With one such series alone there is nothing to tell apart by colour: then none is given.
    """
    ways: dict[str, tuple[str, str]] = {}
    for name in names:
        if name not in KNOWN and (known := [other for other in KNOWN if name.startswith(f"{other} ")]):
            ways[name] = (longest := max(known, key=len)), name.removeprefix(longest)
    if len({known for known, _ in ways.values()}) < 2:
        return {}
    order = sorted({way for _, way in ways.values()}, key=_by_number)
    places = {way: place for place, way in enumerate(order)}
    return {
        name: Style(KNOWN[known].colour, MARKERS[place % len(MARKERS)], DASHES[place % len(DASHES)])
        for name, (known, way) in ways.items()
        for place in [places[way]]
    }


def _by_number(way: str) -> tuple[str, list[float]]:
    """Return the key of an order in which ways that differ by their numbers alone stand together, as these rise."""
    return NUMBER.sub("", way), [float(number) for number in NUMBER.findall(way)]


def _free(name: str, taken: Sequence[Style]) -> Style:
    """Return a style for this name: one that is not taken, of a colour as rare as possible.

    taken: the styles that the figure gives already
    """
    turn = zlib.crc32(name.encode()) % len(COLOURS)
    colours = [style.colour for style in taken]
    looks = {look for style in taken for look in ((style.colour, style.dash), (style.colour, style.marker))}
    return min(
        FREE[turn:] + FREE[:turn],
        key=lambda s: (not looks.isdisjoint({(s.colour, s.dash), (s.colour, s.marker)}), colours.count(s.colour)),
    )
