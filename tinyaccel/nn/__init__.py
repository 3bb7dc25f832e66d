"""Layers (PyTorch names)."""
