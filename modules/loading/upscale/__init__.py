"""Upscalers: the list (`catalog`), files on disk (`files`), networks read by spandrel (`networks`)."""
