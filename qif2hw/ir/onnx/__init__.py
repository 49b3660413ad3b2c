"""What `qif2hw.ir.onnx_io` consists of: graphs, what is read of them, and functions that make them execute."""
