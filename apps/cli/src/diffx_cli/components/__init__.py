"""What is installed, measured and described: laws, crossings, costs, objectives."""
