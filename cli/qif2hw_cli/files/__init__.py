"""What commands read and write: inputs, results, shards."""
