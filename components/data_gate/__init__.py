"""DataGate: stops the run when the data has anomalies."""
