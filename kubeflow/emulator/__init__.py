"""The dry run: executes a compiled pipeline on this machine as Kubeflow Pipelines executes it.

The emulator reads only the compiled YAML, as the cluster does. `run` orders the tasks, `driver`
resolves the inputs and outputs of a task, `container` runs its command, and `store` holds artifacts
and the cache. A Go file in a docstring is a file of kubeflow/pipelines 2.5.0 whose behaviour the
function copies.
"""
