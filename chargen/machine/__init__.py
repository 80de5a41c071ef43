"""Where and how chargen computes: devices, precision, threads, memory."""
