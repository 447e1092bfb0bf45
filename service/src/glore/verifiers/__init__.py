"""Checks of a solution that need no model: exact, linear in the text, silent when unsure."""
