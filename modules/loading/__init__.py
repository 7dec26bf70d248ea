"""From a file on disk to a model that can be called: header -> family -> configuration from shapes -> weights."""
