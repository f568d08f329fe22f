"""EdgeGate: refuses a TensorFlow Lite model that answers otherwise than the SavedModel."""

from components.edge_gate.component import EdgeGate

__all__ = ["EdgeGate"]
