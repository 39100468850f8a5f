"""How well an answer's headers protect its readers: the score of Mozilla's HTTP Observatory, of a recorded answer.

The algorithm is that of github.com/mdn/mdn-http-observatory (``src/analyzer``, ``src/grader/charts.js``,
``src/scanner/index.js``; Cross-Origin-Opener-Policy and -Embedder-Policy as its pull request 498 added them), written
anew from it: names of results and points are the scanner's own. It scores what was recorded, so it needs no network, no
list of preloaded hosts and no trusted certificate.
"""

from observatory.recorded import Answer, Recorded
from observatory.scoring import CEILING, Result, Score, score

__all__ = ["CEILING", "Answer", "Recorded", "Result", "Score", "score"]
