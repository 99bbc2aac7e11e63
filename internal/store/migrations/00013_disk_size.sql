-- How large the disk is where a worker builds: what is free says little without it.
ALTER TABLE workers ADD COLUMN disk_size BIGINT NOT NULL DEFAULT 0;
