"""Text only: emphasis, comments, generation parameters, tokens. Imports nothing above `core`, and no torch."""
