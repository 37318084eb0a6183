"""Trainings that survive being interrupted. The parts are registered and work in any config of an mm package."""
