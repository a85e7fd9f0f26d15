"""Protobuf to domain and back, nowhere else."""
