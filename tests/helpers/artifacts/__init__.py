"""What the workflow leaves behind, written as it writes it, for tests of what is made of that."""
