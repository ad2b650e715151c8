"""Basics of every program: files, errors, options, preconditions of a job, hardware, installed packages."""
