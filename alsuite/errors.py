"""What a user can mend: shown as one line, without a traceback."""

__all__ = ["UserError"]


class UserError(Exception):
    """One line that says what is wrong and what to do about it."""
