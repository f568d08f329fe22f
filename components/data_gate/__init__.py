"""DataGate: the run stops here when the data has anomalies."""

from components.data_gate.component import DataGate

__all__ = ["DataGate"]
