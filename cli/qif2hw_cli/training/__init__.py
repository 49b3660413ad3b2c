"""What ``qif2hw train`` and ``qif2hw demo`` share: data, the training, its report."""
