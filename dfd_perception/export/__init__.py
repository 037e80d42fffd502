"""torch to ONNX; the only folder that writes graphs."""
