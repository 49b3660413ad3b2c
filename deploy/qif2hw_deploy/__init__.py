"""What stands between a compiled program and a chip or a cluster: the adapter for Loihi 2, and submission to Slurm."""
