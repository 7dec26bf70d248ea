"""From a request to pictures: `request` -> `plan` -> `run` -> `save`."""
