"""The cluster: the graph compiled for Kubeflow Pipelines, run in containers, sent and scheduled."""
