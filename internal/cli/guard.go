package cli

import (
	"cmp"
	"maps"
	"slices"

	"reqpm/internal/index"
)

// indexConfig is the table [index] of reqpm.toml.
type indexConfig struct {
	URL       string   `toml:"url"`
	Extra     []string `toml:"extra"`
	FindLinks []string `toml:"find-links"`

	Named  map[string]string `toml:"named"`   // name → address; asked only for what is pinned to it
	Pin    map[string]string `toml:"pin"`     // project, or "beginning-*" → name
	MinAge string            `toml:"min-age"` // "7d"
	Block  []string          `toml:"block"`   // "name", "name==1.2  # why"
}

// guard puts what protects against a bad package or index into cfg; minAge is the flag, blocked what is
// blocked beside.
func (c indexConfig) guard(cfg *index.Config, minAge string, blocked []string) error {
	for _, name := range slices.Sorted(maps.Keys(c.Named)) {
		// Also under --no-index: who pins a project to an index wants it from nowhere else.
		cfg.ExtraIndexes = append(cfg.ExtraIndexes, index.IndexConfig{Name: name, URL: c.Named[name], Explicit: true})
	}
	// What the user says of a name goes before what a project's files say of it.
	for pattern := range c.Pin {
		maps.DeleteFunc(cfg.Pin, func(name, _ string) bool { return index.PinCovers(pattern, name) })
	}
	if cfg.Pin == nil {
		cfg.Pin = map[string]string{}
	}
	maps.Copy(cfg.Pin, c.Pin)
	for i, text := range slices.Concat(c.Block, blocked) {
		b, err := index.ParseBlocked(text)
		if err != nil {
			if i >= len(c.Block) {
				return usagef("settings of the server: %w", err)
			}
			return usagef("reqpm.toml, [index]: %w", err)
		}
		cfg.Block = append(cfg.Block, b)
	}
	age, err := index.ParseAge(cmp.Or(minAge, c.MinAge))
	if err != nil {
		return usageError{err}
	}
	cfg.MinAge = age
	return nil
}
