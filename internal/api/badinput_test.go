package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"reqpm/internal/auth"
)

// schema is as much of a JSON schema as the walk needs.
type schema struct {
	Ref                  string `json:"$ref"`
	Type                 string
	Enum                 []any
	Pattern, Format      string
	Minimum, Maximum     *float64
	MaxLength, MaxItems  *int
	Required             []string
	Properties           map[string]*schema
	Items                *schema
	AdditionalProperties json.RawMessage
}

type walked struct {
	bed     *bed
	token   string
	schemas map[string]*schema
	answers map[string]json.RawMessage // of the operation that is walked
}

func (w *walked) resolve(s *schema) *schema {
	for s != nil && s.Ref != "" {
		s = w.schemas[s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]]
	}
	return s
}

// good is a value that a schema takes.
func (w *walked) good(s *schema) any {
	switch s = w.resolve(s); {
	case len(s.Enum) > 0:
		return s.Enum[0]
	case s.Type == "object":
		object := map[string]any{}
		for _, name := range s.Required {
			object[name] = w.good(s.Properties[name])
		}
		return object
	case s.Type == "array":
		return []any{w.good(s.Items)}
	case s.Type == "boolean":
		return true
	case s.Type == "integer", s.Type == "number":
		return 1
	}
	for _, text := range []string{"abcdefghijkl", "https://git.example.org/app.git", "6h", "10.1.2.0/24", "ada@example.org", "0123456789abcdef0123"} {
		if fits, err := regexp.MatchString(s.Pattern, text); err == nil && fits {
			return text
		}
	}
	w.bed.t.Fatalf("no value is known for the pattern %s", s.Pattern)
	return nil
}

// bad are values that a schema must not take.
func (w *walked) bad(s *schema) map[string]any {
	s = w.resolve(s)
	all := map[string]any{"null": nil}
	switch s.Type {
	case "object":
		all["a list"] = []any{}
	case "array":
		all["a text"] = "x"
		if items := w.resolve(s.Items); items.Type == "string" && items.MaxLength != nil {
			all["too long items"] = []any{strings.Repeat("x", *items.MaxLength+1)}
		} else if items.Type == "string" && len(items.Enum) == 0 {
			w.bed.t.Errorf("items of a list may be of any length: %+v", s)
		}
		if s.MaxItems != nil {
			items := make([]any, *s.MaxItems+1)
			for i := range items {
				items[i] = w.good(s.Items)
			}
			all["too many"] = items
		}
	case "string":
		all["a number"] = 7
		if s.MaxLength != nil {
			all["too long"] = strings.Repeat("x", *s.MaxLength+1)
		}
		if len(s.Enum) > 0 {
			all["no such choice"] = "nonsense"
		}
		if s.Pattern != "" {
			all["control characters"] = "a\x01\x7f b"
		}
	default:
		all["an object"] = map[string]any{}
	}
	if s.Maximum != nil {
		all["too large"] = *s.Maximum + 1
	}
	if s.Minimum != nil {
		all["too small"] = *s.Minimum - 1
	}
	return all
}

// refused asks, and wants to be told where it was wrong.
func (w *walked) refused(what, method, path string, body any, place string) {
	w.bed.t.Helper()
	text := ""
	if body != nil {
		raw, _ := json.Marshal(body)
		text = string(raw)
	}
	answer := w.bed.ask(w.token, method, path, text)
	if answer.Code != http.StatusUnprocessableEntity || !strings.Contains(answer.Body.String(), place) {
		w.bed.t.Errorf("%s %s: %s: %d, not 422 at %s: %.300s", method, path, what, answer.Code, place, answer.Body)
	}
	if w.answers[fmt.Sprint(answer.Code)] == nil {
		w.bed.t.Errorf("%s %s: the document has no answer %d", method, path, answer.Code)
	}
}

// Every field and parameter of every operation with what it must not be. A new operation is walked by itself.
func TestBadInputOfEveryOperation(t *testing.T) {
	b := newBed(t, filepath.Join(t.TempDir(), "reqpm.db"))
	project, run := b.create()
	text, err := b.api.OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Components struct{ Schemas map[string]*schema }
		Paths      map[string]map[string]struct {
			Parameters []struct {
				Name, In string
				Schema   *schema
			}
			RequestBody *struct {
				Content map[string]struct{ Schema *schema }
			}
			Responses map[string]json.RawMessage
		}
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	w := &walked{bed: b, token: b.token(auth.Admin, 0), schemas: doc.Components.Schemas}
	fields := 0
	for path, methods := range doc.Paths {
		at := strings.NewReplacer("{id}", fmt.Sprint(run), "{user}", "nobody", "{session}", "0", "{name}", "x", "{repository}", "9", "{package}", "lxml").Replace(path)
		if strings.HasPrefix(path, "/api/v1/projects/{id}") {
			at = strings.Replace(at, fmt.Sprint(run), fmt.Sprint(project), 1)
		}
		for method, op := range methods {
			if strings.HasPrefix(path, "/api/v1/hooks/") {
				continue // what forges send is theirs; it has its own test
			}
			method, w.answers = strings.ToUpper(method), op.Responses
			if op.Responses["default"] != nil {
				t.Errorf("%s %s: the document does not say which errors it answers", method, path)
			}
			var right any // a body with which nothing is wrong
			if op.RequestBody != nil {
				right = w.good(op.RequestBody.Content["application/json"].Schema)
			}
			for _, p := range op.Parameters {
				s := w.resolve(p.Schema)
				if p.In != "query" {
					continue
				}
				fields++
				for what, value := range w.bad(s) {
					if number, ok := value.(float64); ok {
						value = fmt.Sprintf("%.0f", number)
					}
					if text, ok := value.(string); ok && what != "a text" {
						w.refused(p.Name+" is "+what, method, at+"?"+p.Name+"="+url.QueryEscape(text), right, p.Name)
					}
				}
				if s.Type != "string" && s.Type != "array" || s.Format != "" {
					w.refused(p.Name+" is empty", method, at+"?"+p.Name+"=", right, p.Name)
					w.refused(p.Name+" is a text", method, at+"?"+p.Name+"=nonsense", right, p.Name)
				}
				if s.Type == "string" && s.MaxLength == nil && len(s.Enum) == 0 && s.Format == "" {
					t.Errorf("%s %s: %s may be of any length", method, path, p.Name)
				}
			}
			if path != "/api/v1/artifacts/{id}" { // there is none to ask for
				w.refused("a parameter that there is not", method, at+"?nonsense=1", right, "nonsense")
			}
			if op.RequestBody == nil {
				continue
			}
			body := w.resolve(op.RequestBody.Content["application/json"].Schema)
			for name, s := range body.Properties {
				fields++
				if s = w.resolve(s); s.Type == "string" && s.MaxLength == nil && len(s.Enum) == 0 {
					t.Errorf("%s %s: %s may be of any length", method, path, name)
				}
				for what, value := range w.bad(s) {
					object := w.good(body).(map[string]any)
					object[name] = value
					w.refused(name+" is "+what, method, at, object, "body."+name)
				}
			}
			object := w.good(body).(map[string]any)
			object["nonsense"] = true
			w.refused("a field that there is not", method, at, object, "body.nonsense")
			w.refused("a list", method, at, []any{}, "body")
		}
	}
	if fields < 100 {
		t.Errorf("only %d fields and parameters were walked", fields)
	}
}
