package index

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
)

// Blocked is a project, or some versions of it, that must not be used.
type Blocked struct {
	Name     string            // PEP 503 form
	Versions pep440.Specifiers // empty: all
	Reason   string            // for people; may be ""
	text     string
}

// ParseBlocked reads "name", "name==1.2" or "name<1.4  # why".
func ParseBlocked(text string) (Blocked, error) {
	body, reason, _ := strings.Cut(text, "#")
	r, err := pep508.Parse(strings.TrimSpace(body))
	if err != nil {
		return Blocked{}, fmt.Errorf("block %q: %w", text, err)
	}
	if r.URL != "" || len(r.Extras) > 0 || strings.Contains(body, ";") {
		return Blocked{}, fmt.Errorf("block %q: only a name with versions can be blocked", text)
	}
	return Blocked{Name: r.Key(), Versions: r.Specifiers, Reason: strings.TrimSpace(reason), text: strings.TrimSpace(body)}, nil
}

func (b *Blocked) why() string {
	if b.Reason == "" {
		return "blocked (" + b.text + ")"
	}
	return "blocked (" + b.text + "): " + b.Reason
}

// screen is what of a project is held back. A nil screen holds back nothing.
type screen struct {
	newest  time.Time // Config.ExcludeNewer
	settled time.Time // now less Config.MinAge
	age     string    // "7 days", for people
	block   []Blocked // of this project
}

// HeldBack is one release of which not a single file may be used.
type HeldBack struct {
	Version pep440.Version
	Reason  string // "younger than 7 days"
	ByDate  bool   // by Config.ExcludeNewer
}

const uploadedAfter = "uploaded after "

// young tells why a file is too young, "" when it is not. Files without a time are not.
func (s *screen) young(uploaded time.Time) string {
	switch {
	case s == nil || uploaded.IsZero():
		return ""
	case !s.settled.IsZero() && uploaded.After(s.settled):
		return "younger than " + s.age
	case !s.newest.IsZero() && uploaded.After(s.newest):
		return uploadedAfter + s.newest.Format(time.RFC3339)
	}
	return ""
}

func (s *screen) blocks(v pep440.Version) *Blocked {
	if s == nil {
		return nil
	}
	for i := range s.block {
		if s.block[i].Versions.Contains(v) {
			return &s.block[i]
		}
	}
	return nil
}

// hold puts the configured screen before a project.
func (c *Client) hold(p *Project) {
	if len(c.private) > 0 {
		p.owner = c.owner
	}
	s := &screen{newest: c.cfg.ExcludeNewer, age: days(c.cfg.MinAge)}
	if c.cfg.MinAge > 0 {
		s.settled = c.began.Add(-c.cfg.MinAge)
	}
	for _, b := range c.cfg.Block {
		if b.Name == p.Name {
			s.block = append(s.block, b)
		}
	}
	if s.newest.IsZero() && s.settled.IsZero() && len(s.block) == 0 {
		return
	}
	p.screen = s
	if s.newest.IsZero() && s.settled.IsZero() {
		return
	}
	for _, r := range p.releases {
		for rec := range r.each() {
			if rec.uploaded.IsZero() {
				index := p.index
				if rec.index != 0 {
					index = p.texts[rec.index]
				}
				c.warnOnce("upload-time "+index, "the index gives no upload times: --exclude-newer and --min-age have no effect on its files", "index", index)
				return
			}
		}
	}
}

// days says a duration as people do.
func days(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d == day:
		return "1 day"
	case d%day == 0:
		return fmt.Sprintf("%d days", d/day)
	}
	return d.String()
}

// HeldBack lists the releases of which no file may be used, oldest first.
func (p *Project) HeldBack() []HeldBack {
	if p.screen == nil {
		return nil
	}
	var list []HeldBack
	for _, r := range p.releases {
		if b := p.screen.blocks(r.Version); b != nil {
			list = append(list, HeldBack{Version: r.Version, Reason: b.why()})
			continue
		}
		reason := ""
		u := unpacker{s: r.records}
		for range r.files {
			if reason = p.screen.young(u.record(len(p.texts)).uploaded); reason == "" {
				break
			}
		}
		if reason != "" {
			list = append(list, HeldBack{r.Version, reason, strings.HasPrefix(reason, uploadedAfter)})
		}
	}
	return list
}

// ParseAge reads a length of time in days (7d) or as Go writes it (36h); "" and 0 are none.
func ParseAge(s string) (time.Duration, error) {
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
	return 0, fmt.Errorf("the minimum age %q is no length of time such as 7d or 36h", s)
}
