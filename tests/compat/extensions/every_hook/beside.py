"""Found because the extension's folder is first on sys.path while its scripts load."""

MARK = "beside the scripts"
