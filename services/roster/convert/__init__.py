"""Protobuf to domain and back, by noun; protobuf stops here."""
