"""What the tests share: stand-ins for what no machine here has, small models, and the folders that tests run in."""
