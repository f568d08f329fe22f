"""Measurements that decide designs, each a command of its own."""
