from modules import shared

raise RuntimeError(f"broken on purpose with {shared.opts.samples_format}")
