"""Model repositories: model folders, their configuration, their versions, publishing and signatures."""
