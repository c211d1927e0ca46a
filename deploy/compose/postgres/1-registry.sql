-- The registry's own database: schemas and their ids outlive a restart.
CREATE DATABASE registry;
