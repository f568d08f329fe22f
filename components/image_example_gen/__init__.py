"""ImageExampleGen: brings spans into the pipeline and checks every image on the way."""
