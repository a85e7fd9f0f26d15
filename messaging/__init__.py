"""What all services with events share above the chassis: events again, dead letters, lost streams, ages."""
