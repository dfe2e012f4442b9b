"""What a user can cause and can put right, as errors."""

from __future__ import annotations


class UserError(Exception):
    """What a user can cause and can put right.

    The message is one sentence for a person: what is wrong and what to do. The page shows it and the command line
    prints it; it never holds a traceback or a path that the user did not name.
    """


class ServerFailedError(UserError):
    """The server of a model failed, whatever it was asked."""


class TooLittleMemoryError(UserError):
    """The device has not the memory that a request needs."""
