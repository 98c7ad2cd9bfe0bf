"""The notes of a query that other parts read, by the names that they have in the journal, and what they warn of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["DIAGNOSIS_SECONDS", "FIT_SECONDS", "MEMORY", "WARNING", "warned"]

DIAGNOSIS_SECONDS = "diagnosis_seconds"  # of the query, what its notes and pictures took, which no timing counts
FIT_SECONDS = "fit_seconds"  # of the query, what its training took, with the scans and features prepared for it
MEMORY = "memory"  # values or bytes that a query looks through
WARNING = "warning"  # one line about a strategy that does not work as it should


def warned(notes: Mapping[str, float]) -> dict[str, Any]:
    """Add a warning to the notes where the VAE has learned nothing, or D, or an assistant that ranks losses, too."""
    if 0 < 0.95 * notes.get("mean_sample_error", 1) < notes.get("reconstruction_error", 0):
        return {**notes, WARNING: "the VAE has collapsed to the mean: give it more epochs, or another kl_reduction"}
    learned = [notes[name] for name in ("d_ranking", "loss_ranking") if name in notes]
    if learned and max(learned) < 0.52:
        ranks = "loss_ranking" in notes
        what = "assistant can't rank losses" if ranks else "discriminator can't tell labelled from unlabelled"
        return {**notes, WARNING: f"the {what}: its picks are near chance"}
    return {**notes}
