"""The paper's tables from one run folder: texts and scores are stored, then counted.

`pipeline` is the whole way. `collector` asks the models, phase by phase, and makes a record of
every question; `table_a`, `table_bc` and `table_d` count records; `report` and `card` write files.
Free of torch, but for `loaders`, which imports it when the models are loaded.
"""
