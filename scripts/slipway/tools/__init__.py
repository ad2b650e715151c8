"""The parts of the programs that measure the workflow itself."""
