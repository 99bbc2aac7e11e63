package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// scanner is a row.
type scanner interface{ Scan(dest ...any) error }

// fail says what was being done, with an error of this package where it is one.
func (q Queries) fail(what string, err error) error {
	switch known := q.dialect.conflict(err); {
	case errors.Is(err, sql.ErrNoRows):
		return fmt.Errorf("%s: %w", what, ErrNotFound)
	case known != nil:
		return fmt.Errorf("%s: %w", what, known)
	}
	if q.dialect.away(err) {
		err = unavailableError{err}
	}
	return fmt.Errorf("%s: %w", what, err)
}

// unavailableError is a driver's error that is ErrUnavailable too, and says what the driver's says.
type unavailableError struct{ error }

func (e unavailableError) Unwrap() []error { return []error{ErrUnavailable, e.error} }

// goneConn tells whether a connection was lost, which database/sql says alike for all drivers.
func goneConn(err error) bool {
	_, network := errors.AsType[net.Error](err)
	return network || errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// clean makes texts what both databases take: UTF-8 without NUL. Causes and messages come from the logs of
// builds.
func clean(args []any) []any {
	for i, arg := range args {
		if s, ok := arg.(string); ok {
			args[i] = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
		}
	}
	return args
}

// How long a database on another machine may take to answer: one that was stopped, or is behind a network that swallows
// everything, says nothing for ever. SQLite waits as long as its busy timeout by itself.
const (
	readPatience  = 10 * time.Second // a statement that reads, or changes a row
	writePatience = 30 * time.Second // one of a transaction, which may wait for another's, or change many rows
)

// errSilent is why a statement was given up.
var errSilent = fmt.Errorf("it has not answered in time: %w", context.DeadlineExceeded)

// patient is a context that ends after a time, where the database can be silent for ever.
func (q Queries) patient(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	if !q.dialect.remote {
		return ctx, func() {}
	}
	if q.writing {
		limit = writePatience
	}
	return context.WithTimeoutCause(ctx, limit, errSilent)
}

// exec runs a statement and says how many rows it met.
func (q Queries) exec(ctx context.Context, what, query string, args ...any) (int64, error) {
	done, err := q.turn.take(ctx)
	if err != nil {
		return 0, q.fail(what, err)
	}
	defer done()
	ctx, cancel := q.patient(ctx, writePatience)
	defer cancel()
	result, err := q.db.ExecContext(ctx, query, clean(args)...)
	if err != nil {
		return 0, q.fail(what, err)
	}
	n, err := result.RowsAffected()
	if err != nil {
		return 0, q.fail(what, err)
	}
	return n, nil
}

// must is exec of what is there: ErrNotFound when no row was met.
func (q Queries) must(ctx context.Context, what, query string, args ...any) error {
	n, err := q.exec(ctx, what, query, args...)
	if err == nil && n == 0 {
		err = fmt.Errorf("%s: %w", what, ErrNotFound)
	}
	return err
}

// insert is a statement that returns the new id.
func (q Queries) insert(ctx context.Context, what, query string, args ...any) (id int64, err error) {
	done, err := q.turn.take(ctx)
	if err != nil {
		return 0, q.fail(what, err)
	}
	defer done()
	ctx, cancel := q.patient(ctx, readPatience)
	defer cancel()
	if err := q.db.QueryRowContext(ctx, query+" RETURNING id", clean(args)...).Scan(&id); err != nil {
		return 0, q.fail(what, err)
	}
	return id, nil
}

// one reads one row: ErrNotFound.
func one[T any](ctx context.Context, q Queries, what string, scan func(scanner) (T, error), query string, args ...any) (T, error) {
	ctx, cancel := q.patient(ctx, readPatience)
	defer cancel()
	v, err := scan(q.db.QueryRowContext(ctx, query, clean(args)...))
	if err != nil {
		var none T
		return none, q.fail(what, err)
	}
	return v, nil
}

// many reads every row.
func many[T any](ctx context.Context, q Queries, what string, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	ctx, cancel := q.patient(ctx, readPatience)
	defer cancel()
	rows, err := q.db.QueryContext(ctx, query, clean(args)...)
	if err != nil {
		return nil, q.fail(what, err)
	}
	defer rows.Close()
	all := []T{}
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, q.fail(what, err)
		}
		all = append(all, v)
	}
	if err := rows.Err(); err != nil {
		return nil, q.fail(what, err)
	}
	return all, nil
}

// value scans the only column of a row.
func value[T any](row scanner) (T, error) {
	var v T
	err := row.Scan(&v)
	return v, err
}

// timeColumn reads milliseconds.
type timeColumn struct{ t *time.Time }

func (c timeColumn) Scan(src any) error {
	ms, ok := src.(int64)
	if !ok {
		return fmt.Errorf("a time is a number of milliseconds, not %T", src)
	}
	*c.t = time.Time{}
	if ms != 0 {
		*c.t = time.UnixMilli(ms).UTC()
	}
	return nil
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// jsonColumn reads a JSON text.
type jsonColumn struct{ v any }

func (c jsonColumn) Scan(src any) error {
	switch src := src.(type) {
	case string:
		return json.Unmarshal([]byte(src), c.v)
	case []byte:
		return json.Unmarshal(src, c.v)
	}
	return fmt.Errorf("JSON is a text, not %T", src)
}

// list is a JSON text of names; no names are [], not null.
func list(names []string) string {
	if names == nil {
		names = []string{}
	}
	text, _ := json.Marshal(names) // texts always can be
	return string(text)
}

// object is a JSON text of something; nothing is {}.
func object(raw json.RawMessage) string {
	if len(raw) == 0 {
		return "{}"
	}
	return string(raw)
}

// inList is "($n, $n+1, …)" with its arguments appended to args.
func inList[T any](args []any, values []T) (string, []any) {
	marks := make([]string, len(values))
	for i, v := range values {
		args = append(args, v)
		marks[i] = "$" + strconv.Itoa(len(args))
	}
	return "(" + strings.Join(marks, ", ") + ")", args
}

// most is how many values one statement gets. Each database takes more, but SQLite looks for each "$n" among
// all those before it: 15,000 at once took a hundred times as long as in portions.
const most = 600

// where collects conditions; each "?" stands for one argument.
type where struct {
	conditions []string
	args       []any
}

func (w *where) add(condition string, args ...any) {
	for _, arg := range args {
		w.args = append(w.args, arg)
		condition = strings.Replace(condition, "?", "$"+strconv.Itoa(len(w.args)), 1)
	}
	w.conditions = append(w.conditions, condition)
}

// in wants column to be one of values; none of them is no condition.
func in[T any](w *where, column string, values []T) {
	if len(values) == 0 {
		return
	}
	var set string
	set, w.args = inList(w.args, values)
	w.conditions = append(w.conditions, column+" IN "+set)
}

func (w *where) String() string {
	if len(w.conditions) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.conditions, " AND ")
}

// Page is which part of a list is wanted.
type Page struct {
	Limit  int    // 0: 50; at most 500
	Cursor string // of the page before; "": the first
	Sort   string // a field, with "-" in front downwards; "": newest first. ErrSort names those there are.
}

// Part is one page of a list.
type Part[T any] struct {
	Items []T
	Next  string // the Cursor of the next page; "" at the end
}

// order is how a list may be sorted: by column, then by id.
type order struct {
	column string
	number bool // the column has numbers, not texts
}

// cursor is where a page ended.
type cursor struct {
	Sort   string `json:"s"`
	Text   string `json:"t,omitempty"`
	Number int64  `json:"n,omitempty"`
	ID     int64  `json:"i"`
}

func (c cursor) encode() string {
	text, _ := json.Marshal(c)
	return base64.RawURLEncoding.EncodeToString(text)
}

func parseCursor(text, sort string) (cursor, error) {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	var c cursor
	if err == nil {
		err = json.Unmarshal(raw, &c)
	}
	if err != nil || c.Sort != sort {
		return cursor{}, fmt.Errorf("%w: %.60q", ErrCursor, text)
	}
	return c, nil
}

// listing is a list that can be read page by page, each as fast as the first: a page starts after the last
// row of the one before, by value, not by count.
type listing[T any] struct {
	what   string
	query  string // SELECT … FROM …
	id     string // its column
	orders map[string]order
	scan   func(scanner) (T, error)
	// key is the value that an item is sorted by, a string or an int64, and its id.
	key func(item T, sort string) (any, int64)
}

func (l listing[T]) page(ctx context.Context, q Queries, w where, p Page) (Part[T], error) {
	limit := p.Limit
	if limit <= 0 {
		limit = 50
	}
	limit = min(limit, 500)
	sort := p.Sort
	if sort == "" {
		sort = "-id"
	}
	field, down := strings.CutPrefix(sort, "-")
	by, ok := l.orders[field]
	if field == "id" {
		by, ok = order{l.id, true}, true
	}
	if !ok {
		return Part[T]{}, fmt.Errorf("%s: %w: %.40q; there is id, %s", l.what, ErrSort, p.Sort, strings.Join(sortedKeys(l.orders), ", "))
	}
	direction, after := " ASC", " > "
	if down {
		direction, after = " DESC", " < "
	}
	w.args, w.conditions = slices.Clone(w.args), slices.Clone(w.conditions)
	if p.Cursor != "" {
		c, err := parseCursor(p.Cursor, sort)
		if err != nil {
			return Part[T]{}, fmt.Errorf("%s: %w", l.what, err)
		}
		var from any = c.Text
		if by.number {
			from = c.Number
		}
		if field == "id" {
			w.add(l.id+after+"?", c.ID)
		} else {
			w.add("("+by.column+", "+l.id+")"+after+"(?, ?)", from, c.ID)
		}
	}
	ordering := " ORDER BY " + l.id + direction
	if field != "id" {
		ordering = " ORDER BY " + by.column + direction + ", " + l.id + direction
	}
	items, err := many(ctx, q, l.what, l.scan, l.query+w.String()+ordering+" LIMIT "+strconv.Itoa(limit+1), w.args...)
	if err != nil {
		return Part[T]{}, err
	}
	if len(items) <= limit {
		return Part[T]{Items: items}, nil
	}
	items = items[:limit]
	last, id := l.key(items[limit-1], field)
	c := cursor{Sort: sort, ID: id}
	switch last := last.(type) {
	case string:
		c.Text = last
	case int64:
		c.Number = last
	}
	return Part[T]{Items: items, Next: c.encode()}, nil
}

func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
