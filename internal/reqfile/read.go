package reqfile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Read reads the files of the request and everything they include.
//
// It collects what is wrong instead of stopping at the first: the error joins up
// to 20 values of *Error (see Errors), each with file and line, and the Set holds
// what could be read all the same. A cancelled ctx ends it with ctx's error.
// Nothing is shared between calls; req.FS, Getenv and Fetch are called from the
// calling goroutine only.
func Read(ctx context.Context, req Request) (Set, error) {
	if req.FS == nil {
		return Set{}, errors.New("reqfile: the request has no file system to read from")
	}
	r := newReader(req)
	err := r.readAll(ctx)
	return r.set, err
}

func newReader(req Request) *reader {
	req.Extras, req.Groups, req.Files = slices.Clone(req.Extras), slices.Clone(req.Groups), slices.Clone(req.Files)
	r := &reader{
		req:  req,
		root: confined{fsys: req.FS, abs: req.Root},
		done: map[included]bool{},
		seen: map[string]bool{},

		looked:     &lookedInto{files: map[string]*node{}, spaces: map[string]*workspace{}},
		chosenLock: map[string]string{},
	}
	r.extras.want(req.Extras)
	r.groups.want(req.Groups)
	return r
}

func (r *reader) readAll(ctx context.Context) error {
	r.readEnvs(ctx) // first: they may ask for extras and groups of the project
	ofEnvs := len(r.set.Requirements)
	for _, name := range r.req.Files {
		r.readNamed(ctx, name, asRequirements)
	}
	r.set.Requirements = slices.Concat(r.set.Requirements[ofEnvs:], r.set.Requirements[:ofEnvs])
	for _, name := range r.req.Constraints {
		r.readNamed(ctx, name, asConstraints)
	}
	r.checkWanted()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("reading requirement files: %w", err)
	}
	return errors.Join(r.errs...)
}

// reader is one call of Read.
type reader struct {
	req    Request
	root   confined
	set    Set
	errs   []error
	done   map[included]bool // what was read, or is being read
	seen   map[string]bool   // names in set.Files
	stack  []frame           // the files being read, outermost first
	bytes  int               // read so far
	extras wanted
	groups wanted

	locked int // packages of locks kept so far

	looked     *lookedInto
	chosenLock map[string]string // by folder: the lock to read along with its project
	lookOnly   bool              // Discover: locks are not read along, only named
}

// role is what a file is read for.
type role int

const (
	asRequirements role = iota
	asConstraints
	asPins // a lock file, for the versions it chose only
)

// lookedInto keeps the pyproject.toml files and workspaces that were looked into on
// the way.
type lookedInto struct {
	files  map[string]*node
	spaces map[string]*workspace // by the folder of the root
}

// included is a file in one of its roles.
type included struct {
	file string
	role role
}

// frame is a file being read and the line that asked for it.
type frame struct {
	id   string
	name string
	from Position
}

// stopped is true when reading on is of no use.
func (r *reader) stopped(ctx context.Context) bool {
	return ctx.Err() != nil || len(r.errs) > maxErrors
}

// keep takes one requirement or constraint into the set.
func (r *reader) keep(q Requirement, constraint bool) {
	if len(r.set.Requirements)+len(r.set.Constraints) >= maxRequirements {
		r.fail(q.Position, q.Text, fmt.Errorf("%w: more than %d requirements", ErrTooLarge, maxRequirements))
		return
	}
	if constraint {
		r.set.Constraints = append(r.set.Constraints, q)
		return
	}
	r.set.Requirements = append(r.set.Requirements, q)
}

// fail records one error. After the twentieth it says that it stops.
func (r *reader) fail(at Position, text string, err error) {
	if len(r.errs) > maxErrors {
		return
	}
	if len(r.errs) == maxErrors {
		r.errs = append(r.errs, &Error{Position: at, Err: fmt.Errorf("stopped after %d errors; there are more", maxErrors)})
		return
	}
	r.errs = append(r.errs, &Error{Position: at, Text: text, Err: err})
}

// warn records something the user should know that does not stop the run.
func (r *reader) warn(at Position, format string, args ...any) {
	switch n := len(r.set.Warnings); {
	case n < maxWarnings:
		r.set.Warnings = append(r.set.Warnings, at.Where()+": "+fmt.Sprintf(format, args...))
	case n == maxWarnings:
		r.set.Warnings = append(r.set.Warnings, at.Where()+": more warnings left out")
	}
}

// readNamed reads a file of the request.
func (r *reader) readNamed(ctx context.Context, name string, as role) {
	if r.stopped(ctx) {
		return
	}
	at := Position{File: name}
	loc, err := r.root.locate(name)
	if err != nil {
		r.fail(at, "", err)
		return
	}
	r.readFile(ctx, loc, Position{}, "", as)
}

// readFile reads one file in one role, once. from is the line that includes it
// and text what stands there; both zero for files of the request.
func (r *reader) readFile(ctx context.Context, loc location, from Position, text string, as role) {
	at := from
	if from.File == "" {
		at = Position{File: loc.String()}
	}
	id, err := r.identity(loc)
	if err != nil {
		r.fail(at, text, r.missing(loc, from, err))
		return
	}
	if as != asPins && slices.ContainsFunc(r.stack, func(f frame) bool { return f.id == id }) {
		r.fail(at, text, r.loop(id, loc, from))
		return
	}
	if r.done[included{id, as}] {
		return
	}
	if len(r.stack) >= maxDepth {
		r.fail(at, text, fmt.Errorf("%w: files included more than %d deep", ErrTooLarge, maxDepth))
		return
	}
	if len(r.done) >= maxFiles {
		r.fail(at, text, fmt.Errorf("%w: more than %d files", ErrTooLarge, maxFiles))
		return
	}
	r.done[included{id, as}] = true
	data, err := r.load(ctx, loc)
	if err != nil {
		r.fail(at, text, r.missing(loc, from, err))
		return
	}
	if name := loc.String(); !r.seen[name] {
		r.seen[name] = true
		r.set.Files = append(r.set.Files, name)
	}
	r.stack = append(r.stack, frame{id: id, name: loc.String(), from: from})
	r.parse(ctx, loc, data, as)
	r.stack = r.stack[:len(r.stack)-1]
}

// identity is the same for two names of one file.
func (r *reader) identity(loc location) (string, error) {
	if loc.url != nil {
		return loc.String(), nil
	}
	return r.root.resolve(loc.path)
}

// load returns the bytes of a file, local or remote.
func (r *reader) load(ctx context.Context, loc location) (data []byte, err error) {
	if loc.url == nil {
		limit := maxFileBytes
		if f, ok := formatOf(path.Base(loc.path)); ok && f.lock {
			limit = maxLockBytes
		}
		data, err = r.root.read(loc.path, limit)
	} else {
		data, err = r.fetch(ctx, loc)
	}
	if err != nil {
		return nil, err
	}
	r.bytes += len(data)
	if r.bytes > maxTotalBytes {
		return nil, fmt.Errorf("%w: all files together have more than %d MB", ErrTooLarge, maxTotalBytes>>20)
	}
	return data, nil
}

func (r *reader) fetch(ctx context.Context, loc location) ([]byte, error) {
	if r.req.Fetch == nil {
		return nil, fmt.Errorf("%s: %w", loc, ErrNoFetch)
	}
	data, err := r.req.Fetch(ctx, loc.url.String())
	if err != nil {
		return nil, fmt.Errorf("fetching %s: %w", loc, mask(err, credentials(loc)))
	}
	if len(data) > maxFileBytes {
		return nil, fmt.Errorf("%s: %w", loc, tooLarge(maxFileBytes))
	}
	return data, nil
}

// credentials replaces the full address by the one without user and password.
func credentials(loc location) *strings.Replacer {
	if loc.url.User == nil {
		return nil
	}
	return strings.NewReplacer(loc.url.String(), loc.String(), loc.url.User.String()+"@", "")
}

// missing completes the error of a file that could not be had: its name, and
// what it may have meant to be.
func (r *reader) missing(loc location, from Position, err error) error {
	if loc.url != nil {
		return err
	}
	if !errors.Is(err, fs.ErrNotExist) {
		if from.File == "" {
			return err
		}
		return fmt.Errorf("%s: %w", loc, err)
	}
	near := didYouMean(nearFiles(r.root, loc.path, false))
	if from.File == "" {
		return fmt.Errorf("%w%s", fs.ErrNotExist, near)
	}
	return fmt.Errorf("included file %s: %w%s", loc.path, fs.ErrNotExist, near)
}

// loop shows the chain of includes that came back to id.
func (r *reader) loop(id string, loc location, from Position) error {
	var chain strings.Builder
	started := false
	for _, f := range r.stack {
		if started {
			fmt.Fprintf(&chain, "%s includes %s, ", f.from.Where(), f.name)
		}
		started = started || f.id == id
	}
	fmt.Fprintf(&chain, "%s includes %s", from.Where(), loc)
	return fmt.Errorf("%w: %s", ErrLoop, &chain)
}

// parse reads the text of a file by its kind.
func (r *reader) parse(ctx context.Context, loc location, data []byte, as role) {
	at := Position{File: loc.String()}
	base := path.Base(loc.path)
	if loc.url != nil {
		base = path.Base(loc.url.Path)
	}
	if f, ok := formatOf(base); ok {
		switch {
		case as == asConstraints:
			r.fail(at, "", fmt.Errorf("%s cannot be a constraint file; name it with -r", f.name))
		case loc.url != nil:
			r.fail(at, "", fmt.Errorf("%s is read from the project only, not from an address", f.name))
		default:
			f.read(r, ctx, loc, data, as)
		}
		return
	}
	text, warning, err := decode(data)
	if err != nil {
		r.fail(at, "", err)
		return
	}
	if warning != "" {
		r.warn(Position{File: at.File, Line: 1}, "%s", warning)
	}
	if isWebPage(text) {
		r.fail(at, "", fmt.Errorf("%w of requirements but a web page", ErrBinary))
		return
	}
	r.parseText(ctx, loc, text, as == asConstraints)
}

// parseText reads pip's format.
func (r *reader) parseText(ctx context.Context, loc location, text string, constraint bool) {
	file, lines := loc.String(), 0
	eachLogicalLine(text, func(l logicalLine) bool {
		lines++
		r.parseLine(ctx, loc, Position{File: file, Line: l.number}, l.text, constraint)
		return !r.stopped(ctx)
	})
	if lines == 0 {
		r.warn(Position{File: file, Line: 1}, "nothing is asked for in this file")
	}
}

// isWebPage recognises the sign-in page that a remote file may turn out to be.
func isWebPage(text string) bool {
	start := strings.ToLower(strings.TrimLeftFunc(text[:min(len(text), 200)], isSpace))
	return strings.HasPrefix(start, "<!doctype html") || strings.HasPrefix(start, "<html")
}
