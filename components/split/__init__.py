"""Who is trained on, who is watched while training, who is kept for the verdict.

Groups first (images that must not stand on both sides), then stratified; a dataset's own split is honoured; an image that
was placed once keeps its place.
"""

from components.split.placements import PLACEMENTS, no_placements
from components.split.report import draw, furthest, report
from components.split.splitting import Outcome, Terms, is_given, split

__all__ = ["PLACEMENTS", "Outcome", "Terms", "draw", "furthest", "is_given", "no_placements", "report", "split"]
