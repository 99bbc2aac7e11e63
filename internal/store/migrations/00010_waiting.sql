-- The front of what waits, lane by lane: the page of the queue reads it as ClaimStep reads what is ready.
CREATE INDEX steps_waiting ON steps (lane, raised DESC, priority DESC, id) WHERE state = 'waiting';
