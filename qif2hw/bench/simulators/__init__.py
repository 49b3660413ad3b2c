"""Clock-driven simulators of others that integrate the equation of the QIF neuron, each run in a child process."""
