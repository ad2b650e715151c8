"""Model repositories: their folders, configurations, versions, publication and signatures."""
