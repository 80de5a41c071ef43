"""Characters to a stack of cells to a softmax: the network as a whole."""
