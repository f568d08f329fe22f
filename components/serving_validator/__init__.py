"""ServingValidator: no model is pushed before a server has answered real requests with it."""

from components.serving_validator.component import ServingValidator

__all__ = ["ServingValidator"]
