-- Where people want a step in the queue: 1 before all others, -1 behind them, 0 where its turn is.
ALTER TABLE steps ADD COLUMN raised BIGINT NOT NULL DEFAULT 0;

DROP INDEX steps_ready;
CREATE INDEX steps_ready ON steps (lane, raised DESC, priority DESC, id) WHERE state = 'ready';
