"""How long tests wait for processes and servers.

A test that passes never waits so long, however busy its machine is. Only a failure that hangs does.
"""

PATIENCE_S = 300
