"""EdgeGate: refuses a TensorFlow Lite model that differs from the SavedModel."""
