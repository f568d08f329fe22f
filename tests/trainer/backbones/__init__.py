"""Tests of trainer.backbones."""
