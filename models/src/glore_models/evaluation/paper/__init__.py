"""The paper's tables from one run folder: what was written and scored, kept; then counted.

`collect` asks the models, once, and keeps a record per question; `tables` counts records.
Free of torch, but for `composition`, which imports it when the models are loaded.
"""
