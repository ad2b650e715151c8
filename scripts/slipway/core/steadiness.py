"""The two verdicts on a measurement. Each kind of measurement has a rule of its own for the choice between them."""

# Disturbed: other work on the machine, or too few or too different repetitions, make the figure uncertain.
STEADY, DISTURBED = "steady", "disturbed"
