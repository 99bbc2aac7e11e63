package api

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// The page that people read is made of the document that programs read, so that it is never behind. It has no script and
// nothing from elsewhere.

//go:embed docs.css
var docsStyle string

//go:embed docs.html
var docsText string

var docsPage = template.Must(template.New("docs").Parse(docsText))

type docsData struct {
	Title, Version, Description, Prefix string
	Style                               template.CSS
	Tags                                []docsTag
}

type docsTag struct {
	Name       string
	Operations []docsOperation
}

type docsOperation struct {
	ID, Method, Path, Summary, Description string
	Parameters, Fields                     []docsField
	Answers                                []docsAnswer
	Example                                string
}

type docsField struct {
	Name, Type, Limits, Doc string
	Required                bool
}

type docsAnswer struct {
	Status, Text, Kind string
	Fields             []docsField
}

// docs answers with the page; it says no more than the document, which everybody may read.
func (a *API) docs() http.HandlerFunc {
	sum := sha256.Sum256([]byte(docsStyle))
	policy := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
	var page bytes.Buffer
	err := docsPage.Execute(&page, a.docsData()) // of a document that does not change: now, and once
	sum = sha256.Sum256(page.Bytes())
	tag := fmt.Sprintf(`"%x"`, sum[:8])
	return func(w http.ResponseWriter, r *http.Request) {
		if err != nil {
			writeProblem(w, huma.Error500InternalServerError("the page could not be made: "+err.Error()))
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("Cache-Control", "no-cache")
		h.Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		h.Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(page.Bytes())
	}
}

func (a *API) docsData() docsData {
	doc := a.api.OpenAPI()
	data := docsData{Title: doc.Info.Title, Version: doc.Info.Version, Description: doc.Info.Description, Prefix: Prefix, Style: template.CSS(docsStyle)}
	byTag := map[string][]docsOperation{}
	for path, item := range doc.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
			if op != nil {
				tag := strings.Join(op.Tags, ", ")
				byTag[tag] = append(byTag[tag], a.docsOperation(path, op))
			}
		}
	}
	for _, tag := range slices.Sorted(maps.Keys(byTag)) {
		slices.SortFunc(byTag[tag], func(x, y docsOperation) int {
			return cmp.Or(strings.Compare(x.Path, y.Path), strings.Compare(x.Method, y.Method))
		})
		data.Tags = append(data.Tags, docsTag{tag, byTag[tag]})
	}
	return data
}

func (a *API) docsOperation(path string, op *huma.Operation) docsOperation {
	v := docsOperation{ID: op.OperationID, Method: op.Method, Path: path, Summary: op.Summary, Description: op.Description}
	for _, p := range op.Parameters {
		v.Parameters = append(v.Parameters, a.docsField(p.Name, p.Schema, p.Required, p.In+": "+p.Description))
	}
	if op.RequestBody != nil {
		for _, media := range op.RequestBody.Content {
			v.Fields = a.docsFields("", media.Schema, 3)
		}
	}
	for _, status := range slices.Sorted(maps.Keys(op.Responses)) {
		answer := docsAnswer{Status: status, Text: op.Responses[status].Description}
		for _, kind := range slices.Sorted(maps.Keys(op.Responses[status].Content)) {
			answer.Kind = kind
			if strings.HasPrefix(status, "2") {
				answer.Fields = a.docsFields("", op.Responses[status].Content[kind].Schema, 3)
			}
		}
		v.Answers = append(v.Answers, answer)
	}
	v.Example = a.docsExample(path, op)
	return v
}

func (a *API) resolve(s *huma.Schema) *huma.Schema {
	for s != nil && s.Ref != "" {
		s = a.api.OpenAPI().Components.Schemas.SchemaFromRef(s.Ref)
	}
	return s
}

// docsFields are the fields of an object, those of objects in it too, down to a depth.
func (a *API) docsFields(prefix string, s *huma.Schema, depth int) []docsField {
	s = a.resolve(s)
	for s != nil && s.Items != nil {
		s, prefix = a.resolve(s.Items), strings.TrimSuffix(prefix, ".")+"[]."
	}
	if s == nil || depth == 0 {
		return nil
	}
	var all []docsField
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		inner := s.Properties[name]
		all = append(all, a.docsField(prefix+name, inner, slices.Contains(s.Required, name), cmp.Or(inner.Description, a.resolve(inner).Description)))
		all = append(all, a.docsFields(prefix+name+".", inner, depth-1)...)
	}
	return all
}

func (a *API) docsField(name string, s *huma.Schema, required bool, doc string) docsField {
	s = a.resolve(s)
	f := docsField{Name: name, Type: cmp.Or(s.Type, "any"), Doc: strings.TrimSuffix(doc, ": "), Required: required}
	if s.Format != "" {
		f.Type += " (" + s.Format + ")"
	}
	if items := a.resolve(s.Items); items != nil {
		f.Type = "list of " + cmp.Or(items.Type, "any")
	}
	var limits []string
	for _, value := range s.Enum {
		limits = append(limits, fmt.Sprint(value))
	}
	if len(limits) > 0 {
		limits = []string{strings.Join(limits, " | ")}
	}
	number := func(word string, n *float64) {
		if n != nil && *n != mostNumber {
			limits = append(limits, word+" "+strconv.FormatFloat(*n, 'f', -1, 64))
		}
	}
	count := func(word string, n *int) {
		if n != nil {
			limits = append(limits, word+" "+strconv.Itoa(*n))
		}
	}
	number("≥", s.Minimum)
	number("≤", s.Maximum)
	count("length ≥", s.MinLength)
	count("length ≤", s.MaxLength)
	count("items ≥", s.MinItems)
	count("items ≤", s.MaxItems)
	if s.Pattern != "" && len(s.Pattern) < 60 {
		limits = append(limits, s.Pattern)
	}
	if s.Default != nil {
		limits = append(limits, fmt.Sprint("default ", s.Default))
	}
	f.Limits = strings.Join(limits, ", ")
	return f
}

// docsExample is a call with curl, with all that is required.
func (a *API) docsExample(path string, op *huma.Operation) string {
	var b strings.Builder
	b.WriteString("curl")
	if op.Method != http.MethodGet {
		b.WriteString(" -X " + op.Method)
	}
	b.WriteString(` -H "Authorization: Bearer $TOKEN"`)
	query := ""
	for _, p := range op.Parameters {
		if p.In == "query" && p.Required {
			query += "&" + p.Name + "=" + strings.ToUpper(p.Name)
		}
	}
	if query != "" {
		query = "?" + query[1:]
	}
	fmt.Fprintf(&b, " \"$SERVER%s%s\"", strings.NewReplacer("{", "", "}", "").Replace(path), query)
	if op.RequestBody != nil {
		for _, media := range op.RequestBody.Content {
			body, _ := json.Marshal(a.docsValue(media.Schema, 3))
			b.WriteString(" \\\n    -H 'Content-Type: application/json' -d '" + string(body) + "'")
		}
	}
	return b.String()
}

// docsValue is a value as a schema wants it, with what is required.
func (a *API) docsValue(s *huma.Schema, depth int) any {
	s = a.resolve(s)
	switch {
	case s == nil || depth == 0:
		return "…"
	case len(s.Enum) > 0:
		return s.Enum[0]
	case s.Type == huma.TypeObject:
		object := map[string]any{}
		for _, name := range s.Required {
			object[name] = a.docsValue(s.Properties[name], depth-1)
		}
		return object
	case s.Type == huma.TypeArray:
		return []any{a.docsValue(s.Items, depth-1)}
	case s.Type == huma.TypeBoolean:
		return true
	case s.Type == huma.TypeInteger, s.Type == huma.TypeNumber:
		return 1
	}
	return "…"
}
