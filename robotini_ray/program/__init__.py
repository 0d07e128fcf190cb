"""How the parts become one program: topology, supervision, placement, Ray."""
