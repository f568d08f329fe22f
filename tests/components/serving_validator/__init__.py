"""Tests of the ServingValidator component."""
