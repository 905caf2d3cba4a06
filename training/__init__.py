"""Commands that make what ships in the models folders; run from a checkout, never installed."""
