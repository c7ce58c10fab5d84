"""Points [D] in the data's units, shown as plots."""

from genlab.media.kind import Shown


class Points(Shown):
    """Points: real numbers without bounds."""

    plural = "points"
    has_scene = True
