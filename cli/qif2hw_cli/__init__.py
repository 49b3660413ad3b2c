"""The command line of qif2hw: one file per command, thin."""
