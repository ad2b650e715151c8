"""The two verdicts on how much repeated measurements differ: steady or disturbed.

Each kind of measurement has its own rule for them.
"""

# Disturbed: other work on the machine, or too few or too different repetitions, make the figure uncertain.
STEADY, DISTURBED = "steady", "disturbed"
