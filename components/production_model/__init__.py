"""ProductionModel: the model that is in production now, as the Evaluator's baseline."""

from components.production_model.component import ProductionModel

__all__ = ["ProductionModel"]
