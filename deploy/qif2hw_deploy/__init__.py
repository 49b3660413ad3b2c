"""What stands between a compiled program and a chip: so far `qif2hw_deploy.loihi2`.  Nothing has run on a chip yet."""
