package solve

func (s *solver) explain(proof *incompat) error { return &Conflict{Message: "x"} }
