package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"mime"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// Limits of what is sent.
const (
	maxBody     = 1 << 20 // bytes
	maxDepth    = 32      // objects and lists in each other
	bodyTimeout = 30 * time.Second
)

// readBody reads what was sent, and refuses what JSON allows and nobody means: names twice, null, other letters than
// the document has, depth without end. What is left goes to huma, which compares it with the schema.
func (a *API) readBody(ctx huma.Context, next func(huma.Context)) {
	r, w := humago.Unwrap(ctx)
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout)) // a connection that has none is a test's
	body, err := io.ReadAll(r.Body)
	if err == nil {
		body, err = a.checkBody(ctx.Operation(), r.Header.Values("Content-Type"), body)
	}
	var large *http.MaxBytesError
	switch {
	case err == nil:
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		next(ctx)
		return
	case as[huma.StatusError](err):
	case errors.As(err, &large):
		err = huma.NewError(http.StatusRequestEntityTooLarge, fmt.Sprintf("a request has at most %d bytes", maxBody))
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = huma.NewError(http.StatusRequestTimeout, fmt.Sprintf("the request did not arrive within %s", bodyTimeout))
	default:
		err = huma.Error400BadRequest("the request could not be read")
	}
	a.refuse(ctx, err)
}

// refuse answers with an error in place of an operation.
func (a *API) refuse(ctx huma.Context, err error) {
	err = a.problem(ctx.Context(), err)
	if headers, ok := errors.AsType[huma.HeadersError](err); ok {
		for name, values := range headers.GetHeaders() {
			for _, value := range values {
				ctx.AppendHeader(name, value)
			}
		}
	}
	status := http.StatusInternalServerError
	var details []error
	if known, ok := errors.AsType[huma.StatusError](err); ok {
		status = known.GetStatus()
	}
	if model, ok := errors.AsType[*huma.ErrorModel](err); ok {
		for _, detail := range model.Errors {
			details = append(details, detail)
		}
	}
	_ = huma.WriteErr(a.api, ctx, status, err.Error(), details...)
}

// checkBody gives what was sent back as huma reads it.
func (a *API) checkBody(op *huma.Operation, kinds []string, body []byte) ([]byte, error) {
	if len(body) == 0 {
		return body, nil // huma knows whether there must be one
	}
	kind, options, err := mime.ParseMediaType(strings.Join(kinds, ","))
	if charset := options["charset"]; err != nil || kind != "application/json" || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return nil, huma.Error415UnsupportedMediaType("what is sent is application/json, and the header Content-Type says so")
	}
	if !utf8.Valid(body) {
		return nil, huma.Error400BadRequest("JSON is UTF-8 (RFC 8259, section 8.1)")
	}
	check := &bodyCheck{schemas: a.api.OpenAPI().Components.Schemas, tokens: json.NewDecoder(bytes.NewReader(body))}
	check.tokens.UseNumber()
	var schema *huma.Schema
	if op.RequestBody != nil {
		schema = op.RequestBody.Content["application/json"].Schema
	} else {
		schema = &huma.Schema{Type: huma.TypeObject, AdditionalProperties: false}
	}
	if err := check.value("body", schema, 0); err != nil {
		return nil, err
	}
	if _, err := check.tokens.Token(); !errors.Is(err, io.EOF) {
		return nil, badJSON(errors.New("there is something behind the value"))
	}
	return check.rewritten(body), nil
}

func badJSON(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return huma.Error400BadRequest("this is not JSON: " + err.Error())
}

// wrongField is an answer 422 about a place in what was sent.
func wrongField(location, message string) error {
	return huma.Error422UnprocessableEntity(location+": "+message, &huma.ErrorDetail{Location: location, Message: message})
}

// bodyCheck walks a JSON text along its schema.
type bodyCheck struct {
	schemas huma.Registry
	tokens  *json.Decoder
	whole   []wholeNumber
}

// wholeNumber is a place in a JSON text where a whole number stands with a point or an exponent. For a JSON schema that
// is an integer (draft 2020-12, section 4.2.2), for encoding/json it is none.
type wholeNumber struct {
	from, to int64
	value    int64
}

// note keeps the number that has just been read, where it is such a one.
func (c *bodyCheck) note(n json.Number) {
	value, err := n.Float64()
	if err != nil || value != math.Trunc(value) || math.Abs(value) > mostNumber || !strings.ContainsAny(string(n), ".eE") {
		return
	}
	to := c.tokens.InputOffset()
	c.whole = append(c.whole, wholeNumber{to - int64(len(n)), to, int64(value)})
}

// rewritten is the text with such numbers as encoding/json takes them.
func (c *bodyCheck) rewritten(body []byte) []byte {
	for _, n := range slices.Backward(c.whole) {
		body = slices.Concat(body[:n.from], strconv.AppendInt(nil, n.value, 10), body[n.to:])
	}
	return body
}

// value checks the next value; schema is nil where anything goes.
func (c *bodyCheck) value(location string, schema *huma.Schema, depth int) error {
	token, err := c.tokens.Token()
	if err != nil {
		return badJSON(err)
	}
	for schema != nil && schema.Ref != "" {
		schema = c.schemas.SchemaFromRef(schema.Ref)
	}
	if token == nil {
		return wrongField(location, "null is no value here: leave the field out")
	}
	delim, ok := token.(json.Delim)
	if !ok {
		if n, ok := token.(json.Number); ok && schema != nil && schema.Type == huma.TypeInteger {
			c.note(n)
		}
		return nil
	}
	if depth == maxDepth {
		return wrongField(location, fmt.Sprintf("there are more than %d objects and lists in each other", maxDepth))
	}
	if delim == '[' {
		err = c.list(location, schema, depth)
	} else {
		err = c.object(location, schema, depth)
	}
	if err != nil {
		return err
	}
	if _, err := c.tokens.Token(); err != nil { // the closing bracket
		return badJSON(err)
	}
	return nil
}

func (c *bodyCheck) list(location string, schema *huma.Schema, depth int) error {
	var items *huma.Schema
	if schema != nil {
		items = schema.Items
	}
	for i := 0; c.tokens.More(); i++ {
		if err := c.value(location+"["+strconv.Itoa(i)+"]", items, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (c *bodyCheck) object(location string, schema *huma.Schema, depth int) error {
	seen := map[string]bool{}
	for c.tokens.More() {
		token, err := c.tokens.Token()
		if err != nil {
			return badJSON(err)
		}
		name, _ := token.(string) // the decoder takes nothing else there
		at := location + "." + name
		if seen[name] {
			return wrongField(at, "it is there twice")
		}
		seen[name] = true
		var inner *huma.Schema
		if schema != nil {
			var known bool
			if inner, known = schema.Properties[name]; !known {
				if more, ok := schema.AdditionalProperties.(bool); ok && !more {
					return wrongField(at, "there is no such field; there are "+strings.Join(slices.Sorted(maps.Keys(schema.Properties)), ", "))
				}
				inner, _ = schema.AdditionalProperties.(*huma.Schema)
			}
		}
		if err := c.value(at, inner, depth+1); err != nil {
			return err
		}
	}
	return nil
}
