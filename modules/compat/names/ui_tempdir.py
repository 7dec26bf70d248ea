"""A1111's `modules.ui_tempdir`."""

from modules.compat.small import cleanup_tmpdr, register_tmp_file

__all__ = ["cleanup_tmpdr", "register_tmp_file"]
