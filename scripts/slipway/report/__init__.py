"""The report page of one model: its records as verdicts, tables and charts.

A record is a JSON file that a step of the workflow wrote. A target is a kind of GPU or CPU that config.yaml names.
"""
