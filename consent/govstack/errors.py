"""The one problem of the GovStack interface: its document declares 200 and 400 and nothing else."""

from kit.problems import Malformed


class BadInput(Malformed):
    """Bad input parameter: what was sent does not fit, or there is nothing of the caller's under that id."""

    slug, title = "govstack-bad-input", "Bad input parameter"
