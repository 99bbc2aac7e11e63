package auth

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strings"

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

// Bounds of an entry, in bytes: where the detail is longer, its texts are cut; where it still is, it is left out, not the entry.
const (
	maxDetail     = 16 << 10
	maxDetailText = 300
)

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
	plain = withoutSecrets(plain)
	if text, err = json.Marshal(plain); err != nil {
		return nil, err
	}
	if len(text) > maxDetail {
		if text, err = json.Marshal(cut(plain)); err != nil {
			return nil, err
		}
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

// cut shortens the texts of a JSON value.
func cut(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name := range v {
			v[name] = cut(v[name])
		}
	case []any:
		for i := range v {
			v[i] = cut(v[i])
		}
	case string:
		if len(v) > maxDetailText {
			return strings.ToValidUTF8(v[:maxDetailText], "") + fmt.Sprintf("… (%d bytes)", len(v))
		}
	}
	return v
}

// Differences is a Change's Detail: what each value was and is, of those that are not the same. What is in one of them alone
// came or went: it was, or is, nothing.
func Differences(was, is map[string]any) map[string]any {
	detail := map[string]any{}
	for _, both := range []map[string]any{was, is} {
		for name := range both {
			if !reflect.DeepEqual(was[name], is[name]) {
				detail[name] = FromTo(was[name], is[name])
			}
		}
	}
	return detail
}

// FromTo is what a value of a Change's Detail was and is now.
func FromTo(from, to any) map[string]any { return map[string]any{"from": from, "to": to} }
