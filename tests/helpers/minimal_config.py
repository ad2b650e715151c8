"""The least configuration there is, with some settings."""


def minimal(**sections):
    """Return the least configuration there is, with some sections set."""
    return {"models": {"m": {}}, "targets": {"cpu": {}}} | sections


def model(**settings):
    """Return the least configuration, with settings of its model."""
    return minimal(models={"m": settings})


def target(**settings):
    """Return the least configuration, with settings of its target."""
    return minimal(targets={"cpu": settings})
