"""Where and how it is computed: devices, precision, threads, the allocator."""
