"""The page that shows what was measured of one model: what its records say, as answers, tables and charts."""
