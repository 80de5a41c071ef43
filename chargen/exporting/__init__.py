"""A run in forms that need neither chargen nor torch: ONNX, a model hub's folder, a page."""
