"""Release: the gate, and the folder that leaves the house."""
