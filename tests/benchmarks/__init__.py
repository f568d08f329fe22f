"""Tests of the benchmarks' pure parts; no pipeline is run."""
