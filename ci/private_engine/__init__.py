"""A Docker engine in a directory. Standard library only: it runs before there is any environment."""
