package solve

// Conflict is the typed error of "no solution".
type Conflict struct {
	Message string   // for people: the clash in one line, then numbered steps and hints
	Origins []Origin // the requirements that cannot hold together, users' own first
	Python  string   // the lowest minor Python ("3.12") with which it could hold, when Python is the cause
}

func (c *Conflict) Error() string { return c.Message }
