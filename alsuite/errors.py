"""What a user can mend: shown as one line, without a traceback."""

__all__ = ["AwaitingLabels", "MissingDataError", "UserError"]


class UserError(Exception):
    """One line that says what is wrong and what to do about it."""


class MissingDataError(UserError):
    """A data set is neither there nor to be had from here."""


class AwaitingLabels(UserError):
    """The run pauses until a person has filled in a file."""
