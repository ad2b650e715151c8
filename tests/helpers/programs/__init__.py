"""Programs that a machine may lack: real ones, unpacked from Debian's packages, and stand-ins for clients."""
