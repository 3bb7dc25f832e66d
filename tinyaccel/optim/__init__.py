"""Optimizers (PyTorch names)."""
