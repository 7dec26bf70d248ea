"""The page that asks for name and password: no script, no other file, nothing of what was typed."""

from __future__ import annotations

_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Easel: log in</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ font: 16px system-ui, sans-serif; display: grid; place-items: center; min-height: 90vh; margin: 0;
  background: Canvas; color: CanvasText; color-scheme: light dark }}
form {{ display: grid; gap: .75rem; width: min(20rem, 90vw) }}
input, button {{ font: inherit; padding: .5rem }}
.wrong {{ color: #c00; margin: 0 }}
</style></head><body>
<form method="post" action="{root}/login">
<h1>Easel</h1>{told}
<label for="username">Name</label>
<input id="username" name="username" autocomplete="username" required autofocus>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required>
<button type="submit">Log in</button>
</form></body></html>
"""


def written(root: str, told: str = "") -> str:
    """The page; root: path below which a proxy shows the program; told: a sentence of ours above the fields."""
    return _PAGE.format(root=root, told=f'<p class="wrong" role="alert">{told}</p>' if told else "")
