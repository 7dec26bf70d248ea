"""Easel's packages. Imports point down; `docs/architecture.md` has the map and `pyproject.toml` the contract."""
