"""Batches of questions: who works on which, and the results that are kept."""
