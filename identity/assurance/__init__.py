"""How surely the city knows who a resident is: what a clerk saw, the level it is worth, and who may be told of it."""
