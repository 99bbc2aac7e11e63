package pep440

// MarshalText gives the canonical text of a set, so that facts can be kept in files.
func (s Specifiers) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (s *Specifiers) UnmarshalText(text []byte) error {
	read, err := ParseSpecifiers(string(text))
	if err != nil {
		return err
	}
	*s = read
	return nil
}
