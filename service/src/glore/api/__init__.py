"""The gateway over HTTP: what comes in is checked here, what goes out is worded here."""
