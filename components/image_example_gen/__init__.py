"""ImageExampleGen: ingests spans and checks every image."""
