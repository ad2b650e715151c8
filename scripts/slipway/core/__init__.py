"""Basics of every program: files, errors, options, checks at the start of a job, hardware, installed packages."""
