"""Python applications: a program, or a WSGI or ASGI application with its server, and what they require."""

from collections.abc import Iterable

from adaf_pipeline.hooks import Backend, impl


@impl
def adaf_backends() -> Iterable[Backend]:
    """The app backend ``python``."""
    return [
        Backend(
            "app",
            "python",
            "adaf_python.backend:PythonApp",
            "a Python program, or Flask, FastAPI and the like behind gunicorn or uvicorn",
        )
    ]
