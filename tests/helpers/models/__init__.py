"""Models small enough for a moment: as networks, engines, trainings, and as a server describes them."""
