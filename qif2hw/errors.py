"""The errors that a user meets: bad input, and a backend that failed."""


class InputError(ValueError):
    """Something handed to qif2hw is wrong.

    The message is one line that says what is wrong, where, and what to do.
    The command line prints it and exits with code 2.
    """


class BackendError(RuntimeError):
    """A backend failed although its input was right: it took too long, or a process of it ended.

    The command line prints the message and exits with code 1.
    """
