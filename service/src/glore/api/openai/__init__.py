"""The facade that speaks OpenAI's chat completions, so that tools made for them can ask GLoRe."""
