package auth

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"

	"reqpm/internal/store"
)

// Change is what somebody did, for the audit log.
type Change struct {
	Action  string // user.create, run.cancel, …
	Object  string // what it was done to: "user ada", "run 12"
	Project int64  // 0: of none
	// Detail says what was changed to what. Secrets do not belong in it; what looks like one is left out.
	Detail map[string]any
}

// maxDetail bounds an entry; a longer detail is left out, not the entry.
const maxDetail = 16 << 10

// Audit notes a change, in the transaction that makes it.
func (who Identity) Audit(ctx context.Context, tx *store.Tx, c Change) error {
	detail, err := auditDetail(c.Detail)
	if err != nil {
		return fmt.Errorf("note %s of %s: %w", c.Action, c.Object, err)
	}
	object, _ := withoutSecrets(c.Object).(string)
	return tx.AddAudit(ctx, store.AuditEntry{Who: who.String(), Address: who.Address, Action: c.Action, Object: object, Project: c.Project, Detail: detail})
}

func auditDetail(detail map[string]any) (json.RawMessage, error) {
	if len(detail) == 0 {
		return nil, nil
	}
	text, err := json.Marshal(detail)
	if err != nil {
		return nil, err
	}
	var plain any
	if err := json.Unmarshal(text, &plain); err != nil {
		return nil, err
	}
	if text, err = json.Marshal(withoutSecrets(plain)); err != nil {
		return nil, err
	}
	if len(text) > maxDetail {
		return json.RawMessage(`{"note":"left out: too long"}`), nil
	}
	return text, nil
}

var (
	secretField = regexp.MustCompile(`(?i)password|passwd|secret|token|credential|authorization|private|api_?key|hash$`)
	tokenText   = regexp.MustCompile(tokenPrefix + `[0-9A-Za-z]+`)
	userinfo    = regexp.MustCompile(`://[^/?#\s]*@`)
)

// withoutSecrets leaves out of a JSON value the texts that are secret by their name or look.
func withoutSecrets(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			switch inner.(type) {
			case bool, float64, nil:
				continue
			}
			if secretField.MatchString(name) {
				v[name] = hidden
			} else {
				v[name] = withoutSecrets(inner)
			}
		}
	case []any:
		for i := range v {
			v[i] = withoutSecrets(v[i])
		}
	case string:
		v = tokenText.ReplaceAllString(v, tokenPrefix+hidden)
		return userinfo.ReplaceAllString(v, "://"+hidden+"@")
	}
	return v
}

// FromTo is what a value of a Change's Detail was and is now.
func FromTo(from, to any) map[string]any { return map[string]any{"from": from, "to": to} }
