package cli

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

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

// guard puts what protects against a bad package or index into cfg; minAge is the flag.
func (c indexConfig) guard(cfg *index.Config, minAge string) error {
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
	for _, text := range c.Block {
		b, err := index.ParseBlocked(text)
		if err != nil {
			return usagef("reqpm.toml, [index]: %w", err)
		}
		cfg.Block = append(cfg.Block, b)
	}
	age, err := parseAge(cmp.Or(minAge, c.MinAge))
	if err != nil {
		return err
	}
	cfg.MinAge = age
	return nil
}

// parseAge reads a length of time in days (7d) or as Go writes it (36h); "" and 0 are none.
func parseAge(s string) (time.Duration, error) {
	if s == "" || s == "0" {
		return 0, nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n <= 36500 {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	} else if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return d, nil
	}
	return 0, usagef("the minimum age %q is no length of time such as 7d or 36h", s)
}
