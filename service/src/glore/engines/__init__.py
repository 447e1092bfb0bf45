"""The models behind HTTP: the ports the algorithm sees and the adapters that fill them."""
