"""What the service is worth: accuracy, tokens and time per strategy, and how sure that is.

Free of torch: it asks a running service through the SDK and counts.
"""
