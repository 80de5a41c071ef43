"""Fast versions of the cells: the same parameters and the same numbers, computed differently.

A fast class derives from the class with the equations and overrides what can be computed faster:
``scan``, with a backward pass written by hand; ``forward``, where torch has a kernel for a whole
layer; ``stepper``, for generation.
"""
