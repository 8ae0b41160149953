"""The one exception whose text is meant for the person at the keyboard."""


class UserError(ValueError):
    """A mistake that its maker can mend: bad input, a wrong option, a damaged file.

    The message is one line that says what is wrong, where, the value received and the cure.
    Command lines print it after `error: ` and end with exit status 2.
    """
