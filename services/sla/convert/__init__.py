"""Protobuf to the domain's values, checked, and back: nowhere else."""
