"""Engines: built, refitted or taken from before, judged against those that they replace, run in another interpreter."""
