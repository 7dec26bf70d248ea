"""What everyone may lean on: types, noise and its process, devices, hooks, storage, paths, errors."""
