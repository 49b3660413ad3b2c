"""Options that several commands have, and ``-`` in place of a file."""
