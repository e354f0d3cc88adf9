"""Finished models for devices: LiteRT, ONNX, a page for the browser, and what people need to know beside them."""
