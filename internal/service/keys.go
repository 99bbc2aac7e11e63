package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"reqpm/internal/distkey"
	"reqpm/internal/store"
	"reqpm/internal/target"
)

// settingKeys is where the fingerprints are kept that each key file had when it was last looked at.
const settingKeys = "distribution-keys"

// keyWarning is how long before a key's end it is told.
const keyWarning = 60 * 24 * time.Hour

// keyCheck is one look at the keys of the distributions that projects build for.
type keyCheck struct {
	now      time.Time
	known    map[string][]string // by address
	keys     int
	problems []error
	notes    []string
}

// checkKeys looks at every key file that the repositories of targets in use name: whether it is there, has a key that
// holds, and is the one that it was. A key that has taken another's place is told as a failure and in the logs of the
// projects that it concerns, once; dnf then takes the new one, as it would for anybody who has the address.
func (s *Service) checkKeys(ctx context.Context) (string, error) {
	users := map[string][]int64{} // by target
	if _, err := s.eachProject(ctx, store.ProjectFilter{}, func(p store.Project) error {
		for _, t := range p.Targets {
			users[t] = append(users[t], p.ID)
		}
		return nil
	}); err != nil {
		return "", err
	}
	c := keyCheck{now: s.cfg.Now(), known: map[string][]string{}}
	text, err := s.cfg.Store.Setting(ctx, settingKeys)
	if err == nil && text != "" {
		err = json.Unmarshal([]byte(text), &c.known)
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return "", fmt.Errorf("read the keys known: %w", err)
	}
	concerns, of := map[string][]int64{}, map[string]target.Repo{} // projects, and a repository, by the address of a key file
	for _, name := range slices.Sorted(maps.Keys(users)) {
		found, err := s.targets(ctx, name)
		if err != nil {
			c.problems = append(c.problems, fmt.Errorf("target %s: %w", name, err))
		}
		for _, t := range found {
			for address, repo := range keyFiles(t) {
				concerns[address], of[address] = append(concerns[address], users[name]...), repo
			}
		}
	}
	for _, address := range slices.Sorted(maps.Keys(concerns)) {
		before := len(c.problems)
		text, err := s.cfg.KeyFile(ctx, of[address], address)
		c.look(address, text, err)
		for _, problem := range c.problems[before:] {
			for _, id := range slices.Compact(slices.Sorted(slices.Values(concerns[address]))) {
				if err := s.tell(ctx, id, "warning", "%v", problem); err != nil {
					return "", err
				}
			}
		}
	}
	kept, err := json.Marshal(c.known)
	if err != nil {
		return "", err
	}
	if err := s.cfg.Store.Write(ctx, func(tx *store.Tx) error { return tx.SetSetting(ctx, settingKeys, string(kept)) }); err != nil {
		return "", err
	}
	said := fmt.Sprintf("looked at %s in %s of %s", count(c.keys, "key"), count(len(concerns), "file"), count(len(users), "target"))
	for _, note := range c.notes {
		said += "; " + note
	}
	return said, errors.Join(c.problems...)
}

// targets are what a project calls one.
func (s *Service) targets(ctx context.Context, name string) ([]target.Target, error) {
	if s.cfg.Targets == nil {
		return nil, nil
	}
	return s.cfg.Targets(ctx, name)
}

// keyFiles are the key files of a target's repositories, by address.
func keyFiles(t target.Target) map[string]target.Repo {
	vars := strings.NewReplacer("$releasever", t.ReleaseVer, "$basearch", t.Arch)
	all := map[string]target.Repo{}
	for _, r := range t.Repos {
		if !r.GPGCheck {
			continue
		}
		for _, address := range r.GPGKey {
			all[vars.Replace(address)] = r
		}
	}
	return all
}

// look judges one key file, which was read with err.
func (c *keyCheck) look(address string, text []byte, err error) {
	fail := func(format string, args ...any) {
		c.problems = append(c.problems, fmt.Errorf("the key file %s %w", address, fmt.Errorf(format, args...)))
	}
	if err != nil {
		fail("cannot be read: %w", err)
		return
	}
	keys, err := distkey.Read(text, c.now)
	if err != nil {
		fail("has no keys: %w", err)
		return
	}
	c.keys += len(keys)
	var now []string
	usable := false
	for _, k := range keys {
		now = append(now, k.Fingerprint)
		usable = usable || k.Usable(c.now)
		switch {
		case k.Revoked:
			c.notes = append(c.notes, fmt.Sprintf("%s of %s was taken back", k.ID(), address))
		case k.Usable(c.now) && !k.Usable(c.now.Add(keyWarning)):
			c.notes = append(c.notes, fmt.Sprintf("%s of %s holds until %s", k.ID(), address, k.Expires.Format(time.DateOnly)))
		}
	}
	if !usable {
		fail("has no key that holds: dnf installs nothing signed with it")
	}
	slices.Sort(now)
	was, seen := c.known[address]
	c.known[address] = now
	lost := slices.DeleteFunc(slices.Clone(was), func(f string) bool { return slices.Contains(now, f) })
	if seen && len(lost) == len(was) {
		fail("has other keys than before: %s, and had %s. Compare them with what the distribution says of its keys before you build again", strings.Join(now, ", "), strings.Join(was, ", "))
	} else if seen && !slices.Equal(was, now) {
		c.notes = append(c.notes, fmt.Sprintf("%s has %s, had %s", address, strings.Join(now, ", "), strings.Join(was, ", ")))
	}
}
