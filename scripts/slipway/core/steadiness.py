"""The two verdicts on a measurement. Each kind of measurement decides by its own rule which of them it gets."""

# Disturbed: other work on the machine, or too few or too different repetitions, make the figure uncertain.
STEADY, DISTURBED = "steady", "disturbed"
