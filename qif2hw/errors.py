"""The one error a user meets: bad input, told in one line."""


class InputError(ValueError):
    """Something handed to qif2hw is wrong.

    The message is one line that says what is wrong, where, and what to do.
    The command line prints it and exits with code 2.
    """
