"""From the bundled adapters to running engines: the cache, the command lines, the processes."""
