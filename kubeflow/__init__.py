"""Kubeflow Pipelines: compiles the graph, runs steps in containers, submits and schedules runs."""
