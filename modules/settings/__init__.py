"""What the user decides: command-line flags and options. Standard library only, so that it imports in no time."""
