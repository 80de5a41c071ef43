"""The machine: devices, precision, threads, memory, and settings of the process."""
