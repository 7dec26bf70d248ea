"""A1111's `modules.util`."""

from modules.compat.shared import html_path, listfiles, natural_sort_key, walk_files
from modules.compat.small import load_file_from_url, truncate_path

__all__ = ["html_path", "listfiles", "load_file_from_url", "natural_sort_key", "truncate_path", "walk_files"]
