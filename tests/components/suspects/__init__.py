"""Tests of the search for wrong labels."""
