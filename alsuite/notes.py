"""The notes of a query that other parts read, by the names that they have in the journal."""

__all__ = ["DIAGNOSIS_SECONDS", "FIT_SECONDS", "MEMORY", "WARNING"]

DIAGNOSIS_SECONDS = "diagnosis_seconds"  # of the query, what its notes and pictures took, which no timing counts
FIT_SECONDS = "fit_seconds"  # of the query, what its training took
MEMORY = "memory"  # values or bytes that a query looks through
WARNING = "warning"  # one line about a strategy that does not work as it should
