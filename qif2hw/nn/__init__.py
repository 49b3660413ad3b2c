"""Training in torch: layers with exact spike-time gradients, networks, readouts, the training loop."""
