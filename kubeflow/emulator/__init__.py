"""The dry run: executes a compiled pipeline on this machine as Kubeflow Pipelines executes it.

The emulator reads nothing but the YAML, so what runs here is what runs there. `run` holds the order
of tasks, `driver` what happens before a container, `container` what happens in it, and `store` what
outlives a task. Where a module names a Go file, that file is part of kubeflow/pipelines 2.5.0 and
has the behaviour that the module copies.
"""
