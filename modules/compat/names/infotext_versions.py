"""A1111's `modules.infotext_versions`."""

from packaging import version

v160 = version.parse("1.6.0")
v170_tsnr = version.parse("v1.7.0-225")
v180 = version.parse("1.8.0")
v180_hr_styles = version.parse("1.8.0-139")


def parse_version(text):
    """A version, or None for a text that is none."""
    try:
        return version.parse(text.split("-")[0] if text else text)
    except (version.InvalidVersion, TypeError):
        return None


def backcompat(d):
    """Infotexts are completed when they are parsed."""
