"""Measurements under load and beside others."""
