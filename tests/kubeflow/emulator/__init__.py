"""Tests of `kubeflow.emulator`."""
