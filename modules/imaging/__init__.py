"""Pictures as files: metadata and formats, names and folders, saving, grids. PIL only; imports nothing above `core`."""
