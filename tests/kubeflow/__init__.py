"""Tests of `kubeflow`."""
