package pages

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"reqpm/internal/auth"
	"reqpm/internal/store"
)

// The audit log: who changed what, from what to what.

func (p *Pages) auditPages() {
	p.get("/audit", auth.Admin, nil, p.audit)
}

type auditData struct {
	Rows        []auditRow
	Next        string
	Who, Object string
	First       string // address of the newest page; "": this is it
}

type auditRow struct {
	store.AuditEntry
	Project string
	Changes []auditChange
}

// auditChange is a value of an entry.
type auditChange struct {
	Name, From, To string
	Changed        bool // From is what it was
}

func (p *Pages) audit(q *request) (view, error) {
	query := q.URL.Query()
	d := auditData{Who: strings.TrimSpace(query.Get("who")), Object: strings.TrimSpace(query.Get("object"))}
	part, err := q.store().Audit(q.ctx(), store.AuditFilter{Who: d.Who, Object: d.Object}, store.Page{Limit: 60, Cursor: query.Get("cursor")})
	if err != nil {
		return view{}, err
	}
	names := projectNames{q: q}
	for _, e := range part.Items {
		row := auditRow{AuditEntry: e, Changes: auditChanges(e.Detail)}
		if e.Project != 0 {
			row.Project = names.of(e.Project)
		}
		d.Rows = append(d.Rows, row)
	}
	if part.Next != "" {
		d.Next = q.with("cursor", part.Next)
	}
	if query.Get("cursor") != "" {
		d.First = q.with("cursor", "")
	}
	return view{Title: "Audit log", Nav: "audit", Body: auditPage(d), Wake: wakeAfter(q.ctx(), queueWake)}, nil
}

// auditChanges are the values of an entry's detail, by name; {"from", "to"} are what it was and is.
func auditChanges(detail json.RawMessage) []auditChange {
	var values map[string]any
	if json.Unmarshal(detail, &values) != nil {
		return nil
	}
	var all []auditChange
	for _, name := range slices.Sorted(maps.Keys(values)) {
		change := auditChange{Name: strings.ReplaceAll(plain(name), "_", " "), To: auditValue(values[name])}
		if both, ok := values[name].(map[string]any); ok {
			from, hasFrom := both["from"]
			to, hasTo := both["to"]
			if hasFrom && hasTo {
				change.From, change.To, change.Changed = auditValue(from), auditValue(to), true
			}
		}
		if change.Changed && change.From == change.To {
			continue // said again
		}
		all = append(all, change)
	}
	return all
}

// auditValue is a value as people read it.
func auditValue(v any) string {
	switch v := v.(type) {
	case nil:
		return "nothing"
	case string:
		return orText(firstLine(v, 200), "nothing")
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case float64:
		return fmt.Sprint(json.Number(fmt.Sprintf("%.15g", v)))
	case []any:
		var parts []string
		for _, item := range v {
			parts = append(parts, auditValue(item))
		}
		return orText(firstLine(strings.Join(parts, ", "), 300), "none")
	}
	text, err := json.Marshal(v)
	if err != nil {
		return "?"
	}
	return firstLine(string(text), 300)
}

// whoLink filters by who did something: a user with a token is that user.
func whoLink(who string) string {
	name, _, _ := strings.Cut(who, " (")
	return "/audit?" + url.Values{"who": {name}}.Encode()
}
