"""How fast the network and the node are on this machine."""
