"""Conditions on grants, and the part of the Common Expression Language that they are written in."""
