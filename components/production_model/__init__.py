"""ProductionModel: the model in production, as the Evaluator's baseline."""
