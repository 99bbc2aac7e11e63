package api

import (
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"reqpm/internal/service"
)

// What the document says beyond the tags of fields: of the items of lists, and of addresses. huma enforces what it says, so
// that the document and the code are one.

// Patterns of what people send, in the words of both ECMA-262 and RE2. Each takes what the code behind it takes, or more.
const (
	// targetPattern is a name of a target, as package target has it.
	targetPattern = `^[a-z0-9][a-z0-9._-]*$`
	// gitPattern is an address of a repository: a URL, [user@]host:path, or a path where the server takes such.
	gitPattern = `^([A-Za-z][A-Za-z0-9+.-]*://[^\x00-\x20\x7f]+|([A-Za-z0-9._-]+@)?[A-Za-z0-9][A-Za-z0-9.-]*:[^:/\x00-\x1f\x7f][^\x00-\x1f\x7f]*|[./][^\x00-\x1f\x7f]*)$`
	// pathPattern is a path inside a repository.
	pathPattern = `^[^/\x00-\x1f\x7f][^\x00-\x1f\x7f]*$`
	// everyPattern is a duration of at least a minute, or a time of day (engine.NextTime).
	everyPattern = `^([1-9][0-9]{0,3}h([0-9]{1,2}m)?([0-9]{1,2}s)?|[1-9][0-9]{0,5}m([0-9]{1,2}s)?|([01]?[0-9]|2[0-3]):[0-5][0-9])$`
	// networkPattern is an address, or a network with the length of its prefix.
	networkPattern = `^(((25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])\.){3}(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])(/([12]?[0-9]|3[0-2]))?|[0-9A-Fa-f]{0,4}(:[0-9A-Fa-f]{0,4}){2,7}(/([1-9]?[0-9]|1[01][0-9]|12[0-8]))?)$`
)

// itemRule is what each item of a list must be.
type itemRule struct {
	min, max int
	pattern  string
	words    string // what the pattern means, for people
	enum     []string
}

// itemRules are those of lists in bodies, by the name of the field: one name means the same everywhere.
func itemRules() map[string]itemRule {
	return map[string]itemRule{
		"targets":           {1, 64, targetPattern, "the name of a target", nil},
		"default_targets":   {1, 64, targetPattern, "the name of a target", nil},
		"requirement_files": {1, 1000, pathPattern, "a path inside the repository", nil},
		"blocked":           {1, 300, `^[^\x00-\x1f\x7f]+$`, "a package, maybe with versions", nil},
		"reset":             {1, 40, "", "", service.SettingNames()},
		"networks":          {2, 49, networkPattern, "a network, as 10.1.2.0/24", nil},
		"branches":          {1, 200, pathPattern, "a pattern, as release/*", nil},
		"tags":              {1, 200, pathPattern, "a pattern, as release/*", nil},
		"paths":             {1, 200, pathPattern, "a pattern of paths inside the repository", nil},
		"packages":          {1, 100, `^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`, "the name of a package in its normal form (PEP 503)", nil},
		"to":                {3, 320, `^[^\x00-\x20\x7f]+@[^\x00-\x20\x7f]+$`, "an address", nil},
	}
}

// fieldPatterns are those of texts in bodies and queries, likewise.
var fieldPatterns = map[string]itemRule{
	"git_url": {pattern: gitPattern, words: "the address of a Git repository: https://HOST/PATH, ssh://HOST/PATH or USER@HOST:PATH"},
	"ref":     {pattern: `^([^\x00-\x20\x7f-][^\x00-\x20\x7f]*)?$`, words: "a branch, a tag or a commit"},
	"every":   {pattern: everyPattern, words: "a duration of at least a minute (6h), or a time of day (02:00)"},
	"min_age": {pattern: `^(0|[0-9]{1,6}(\.[0-9]{1,3})?(d|h|m|s)([0-9hms.]{0,12}))?$`, words: "a duration (7d, 36h), or 0"},
}

// strict adds the rules to the document, and notes which methods addresses that end with a word take.
func (a *API) strict() {
	rules := itemRules()
	bodies := map[*huma.Schema]bool{}
	schemas := a.api.OpenAPI().Components.Schemas
	var visit func(s *huma.Schema)
	visit = func(s *huma.Schema) {
		for s != nil && s.Ref != "" {
			s = schemas.SchemaFromRef(s.Ref)
		}
		if s == nil || bodies[s] {
			return
		}
		bodies[s] = true
		for name, field := range s.Properties {
			if rule, ok := rules[name]; ok && field.Items != nil && field.Items.Type == huma.TypeString {
				rule.apply(field.Items)
			}
			if rule, ok := fieldPatterns[name]; ok && field.Type == huma.TypeString {
				rule.apply(field)
			}
			visit(field)
		}
		visit(s.Items)
	}
	a.plain = map[string][]string{}
	for path, item := range a.api.OpenAPI().Paths {
		for method, op := range map[string]*huma.Operation{http.MethodGet: item.Get, http.MethodPost: item.Post, http.MethodPut: item.Put, http.MethodPatch: item.Patch, http.MethodDelete: item.Delete} {
			if op == nil {
				continue
			}
			if op.RequestBody != nil && op.RequestBody.Content["application/json"] != nil {
				visit(op.RequestBody.Content["application/json"].Schema)
			}
			for _, p := range op.Parameters {
				if rule, ok := fieldPatterns[p.Name]; ok && p.In == "query" {
					rule.apply(p.Schema)
				}
			}
			if !strings.HasSuffix(path, "}") {
				a.plain[path] = append(a.plain[path], method)
			}
		}
		if slices.Contains(a.plain[path], http.MethodGet) {
			a.plain[path] = append(a.plain[path], http.MethodHead)
		}
		slices.Sort(a.plain[path])
	}
}

// plainMethods are those of an address that ends with a word; nil: it is none of these.
func (a *API) plainMethods(path string) []string {
	if methods := a.plain[path]; methods != nil {
		return methods
	}
	parts := strings.Split(path, "/")
	if len(parts) < 7 { // /api/v1/THINGS/ID/PARTS/WORD: a shorter one has no parameter beside its last part
		return nil
	}
	for pattern, methods := range a.plain {
		if fits(strings.Split(pattern, "/"), parts) {
			return methods
		}
	}
	return nil
}

// fits tells whether the parts of an address are those of a pattern.
func fits(pattern, parts []string) bool {
	if len(pattern) != len(parts) {
		return false
	}
	for i, part := range pattern {
		if part != parts[i] && !(strings.HasPrefix(part, "{") && parts[i] != "") {
			return false
		}
	}
	return true
}

func (r itemRule) apply(s *huma.Schema) {
	s.Pattern, s.PatternDescription = r.pattern, r.words
	if r.max > 0 {
		s.MinLength, s.MaxLength = &r.min, &r.max
	}
	for _, value := range r.enum {
		s.Enum = append(s.Enum, value)
	}
	s.PrecomputeMessages()
}

// emptyParameter refuses a number, a choice or a time that is there and empty: huma takes it for one that is not there.
func emptyParameter(op *huma.Operation, r *http.Request) error {
	if r.URL.RawQuery == "" {
		return nil
	}
	query := r.URL.Query()
	for _, p := range op.Parameters {
		if p.In != "query" || p.Schema.Type == huma.TypeString && p.Schema.Format == "" {
			continue
		}
		if values := query[p.Name]; slices.Contains(values, "") {
			return wrongField("query."+p.Name, "it is empty: leave it out, or say what it is")
		}
	}
	return nil
}
