"""The machine: devices, memory, processes, slots."""
