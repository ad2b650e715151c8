"""The report page of one model: its records as verdicts, tables and charts."""
