"""Errors that are a user's to mend."""


class UserError(ValueError):
    """A mistake in what the user gave: one line that says what, where, the value received and the cure."""


class LostWorkerError(RuntimeError):
    """Another process that trains together with this one has gone: one line that says so, and how to go on."""


class DataError(UserError):
    """Something wrong with a file of a data set.

    Args:
        kind: What kind of fault, such as "unknown colour", for counting.
        message: The line for the user; it begins with the file.
        is_fatal: Whether training must not start before it is mended.
    """

    def __init__(self, kind: str, message: str, is_fatal: bool = True) -> None:
        super().__init__(message)
        self.kind = kind
        self.is_fatal = is_fatal
