package pep508

// MarshalText gives the normal form of a marker, so that facts can be kept in files.
func (m *Marker) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (m *Marker) UnmarshalText(text []byte) error {
	read, err := ParseMarker(string(text))
	if err != nil {
		return err
	}
	*m = *read
	return nil
}
