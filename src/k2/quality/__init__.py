"""What must be true: rules on rows and checks on tables."""
