"""``python -m qif2hw_cli``: the command line of the environment that this Python belongs to."""

from qif2hw_cli.main import main

if __name__ == "__main__":
    main()
