"""ServingValidator: a model is pushed only after a server has answered real requests with it."""
