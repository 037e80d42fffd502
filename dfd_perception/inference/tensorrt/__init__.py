"""ONNX to TensorRT engines that are checked before they are trusted, kept by content, and run without surprises."""
