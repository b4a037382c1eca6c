"""What each template is given: one dataclass per template, and samples of it.

Every template has samples: `samples()` stands in its module, or in `<module>_samples` where they are long. They
show the hard cases (nothing yet, one, many, very long names, an error in a field). Tests render them in both
languages; the gallery photographs them.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sample:
    """A template with a context to show it. `viewer` is who looks: "", resident, analyst, lead, operator …"""

    template: str
    name: str
    context: object
    viewer: str = ""
    path: str = "/"
    notice: str = ""
