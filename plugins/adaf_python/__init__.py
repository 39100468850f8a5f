"""Plain Python applications: files that ``python3`` runs, nothing installed."""

from collections.abc import Iterable

from adaf_pipeline.hooks import Backend, impl


@impl
def adaf_backends() -> Iterable[Backend]:
    """The app backend ``python``."""
    return [Backend("app", "python", "adaf_python.backend:PythonApp", "a Python program without requirements")]
