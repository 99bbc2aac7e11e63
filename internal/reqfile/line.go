package reqfile

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"reqpm/internal/pep508"
)

// line is one logical line being read.
type line struct {
	r          *reader
	loc        location
	at         Position
	raw        string            // as written
	values     *strings.Replacer // hides values of variables in messages, nil: none
	constraint bool
}

func (l *line) fail(text string, err error) { l.r.fail(l.at, text, mask(err, l.values)) }

func (l *line) warn(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if l.values != nil {
		text = l.values.Replace(text)
	}
	l.r.warn(l.at, "%s", text)
}

// parseLine reads one logical line: a requirement with its options, or options
// alone.
func (r *reader) parseLine(ctx context.Context, loc location, at Position, raw string, constraint bool) {
	text, values, unset := expandVariables(raw, r.req.Getenv)
	l := &line{r: r, loc: loc, at: at, raw: raw, values: values, constraint: constraint}
	for _, name := range unset {
		l.warn("the environment variable %s is not set; ${%s} stays as it is", name, name)
	}
	requirement, optionText := breakLine(text)
	var opts []option
	if optionText != "" {
		var err error
		if opts, err = parseOptions(optionText); err != nil {
			l.fail(raw, err)
			return
		}
	}
	if requirement != "" {
		l.requirement(requirement, opts)
		return
	}
	l.options(ctx, opts)
}

// requirement reads a requirement and the options that may follow one.
func (l *line) requirement(text string, opts []option) {
	shown, _ := breakLine(l.raw)
	if shown == "" { // the whole requirement came out of a variable
		shown = l.raw
	}
	var hashes []string
	for _, o := range opts {
		l.ignored(o.rest)
		switch o.name {
		case "--hash":
			h, err := checkHash(o.value)
			if err != nil {
				l.fail(shown, err)
				return
			}
			if hashes = append(hashes, h); len(hashes) > maxHashes {
				l.fail(shown, fmt.Errorf("%w: more than %d hashes", ErrTooLarge, maxHashes))
				return
			}
		case "--config-settings", "--global-option", "--build-option", "--install-option":
			l.warn("option %s is not used: packages are built with their own settings", o.name)
		default:
			l.warn("option %s has no meaning behind a requirement; it belongs on a line of its own", o.name)
		}
	}
	l.add(text, shown, hashes, false)
}

// add parses a requirement and keeps it.
func (l *line) add(text, shown string, hashes []string, editable bool) {
	if len(text) > maxTextBytes {
		l.fail(shown, fmt.Errorf("%w: a requirement of more than %d KB", ErrTooLarge, maxTextBytes>>10))
		return
	}
	q, warnings, err := l.r.parseRequirement(l.loc, text, editable)
	if err != nil {
		l.fail(shown, err)
		return
	}
	for _, w := range warnings {
		l.warn("%s", w)
	}
	q.Position, q.Text, q.Editable = l.at, shown, editable
	for _, h := range hashes {
		if !slices.Contains(q.Hashes, h) {
			q.Hashes = append(q.Hashes, h)
		}
	}
	if l.constraint {
		if err := l.checkConstraint(&q); err != nil {
			l.fail(shown, err)
			return
		}
	}
	l.r.keep(q, l.constraint)
}

// checkConstraint applies pip's rules. Extras, which pip refuses there, are left
// out with a warning: they have no bearing on versions.
func (l *line) checkConstraint(q *Requirement) error {
	switch {
	case q.Editable:
		return errors.New("a constraint may not be editable")
	case q.Name == "":
		return errors.New("a constraint needs the name of a package")
	case len(q.Extras) > 0:
		l.warn("a constraint only restricts versions; its extras %v are left out", q.Extras)
		q.Extras = nil
	}
	return nil
}

// ignored warns of words that belong to no option.
func (l *line) ignored(rest string) {
	if rest != "" {
		l.warn("%s is ignored: an option takes one value (with quotation marks where it holds spaces)", quote(rest))
	}
}

// options acts on a line without a plain requirement.
func (l *line) options(ctx context.Context, opts []option) {
	for _, o := range opts {
		if o.name == "--editable" && o.rest != "" && strings.ContainsAny(o.rest[:1], ";@") {
			// pip drops the marker of an editable, and an address behind "name @", without
			// a word; what was meant is clear.
			o.value += " " + o.rest
			o.rest = ""
		}
		l.ignored(o.rest)
		switch o.name {
		case "--requirement", "--constraint":
			l.include(ctx, o.value, o.name == "--constraint")
		case "--editable":
			l.add(o.value, l.editableText(o.value), nil, true)
		case "--hash":
			l.warn("--hash without a requirement is ignored; is a \\ missing at the end of the line above, or followed by a space?")
		default:
			l.global(o)
		}
	}
}

// editableText is what stands behind -e; of a line with variables all of it, as
// written.
func (l *line) editableText(value string) string {
	if l.values == nil {
		return value
	}
	text := l.raw
	for _, prefix := range []string{"--editable", "-e"} {
		if after, ok := strings.CutPrefix(text, prefix); ok {
			text = after
			break
		}
	}
	text = strings.TrimFunc(strings.TrimPrefix(text, "="), isSpace)
	return text
}

func (l *line) include(ctx context.Context, name string, constraint bool) {
	loc, err := l.r.root.include(l.loc, name)
	if err != nil {
		l.fail(l.raw, err)
		return
	}
	as := asRequirements
	if constraint {
		as = asConstraints
	}
	l.r.readFile(ctx, loc, l.at, l.raw, as)
}

// global takes over an option that holds for the whole run.
func (l *line) global(o option) {
	set := &l.r.set.Options
	switch o.name {
	case "--index-url":
		set.IndexURL = o.value
	case "--extra-index-url":
		set.ExtraIndexURLs = append(set.ExtraIndexURLs, o.value)
	case "--no-index":
		set.NoIndex = true
	case "--find-links":
		l.findLinks(o.value)
	case "--no-binary":
		set.NoBinary, set.OnlyBinary = formatControl(o.value, set.NoBinary, set.OnlyBinary)
	case "--only-binary":
		set.OnlyBinary, set.NoBinary = formatControl(o.value, set.OnlyBinary, set.NoBinary)
	case "--pre":
		set.Pre = true
	case "--prefer-binary":
		set.PreferBinary = true
	case "--require-hashes":
		set.RequireHashes = true
	case "--trusted-host":
		set.TrustedHosts = append(set.TrustedHosts, o.value)
	default:
		l.warn("option %s is ignored", o.name)
	}
}

// findLinks keeps a URL as it is and a local folder relative to the root: beside
// the file where it exists there, else from the root, as pip looks for it.
func (l *line) findLinks(value string) {
	set := &l.r.set.Options
	scheme := urlScheme(value)
	if scheme != "" && scheme != "file" {
		set.FindLinks = append(set.FindLinks, value)
		return
	}
	name := value
	if scheme == "file" {
		var err error
		if name, err = filePath(value); err != nil {
			l.warn("--find-links %s is left out: %v", quote(value), err)
			return
		}
	}
	var found string
	for _, dir := range []string{path.Dir(l.loc.path), "."} {
		p, err := l.r.root.within(dir, name)
		if err != nil {
			continue
		}
		if _, err := l.r.root.stat(p); err == nil {
			found = p
			break
		}
	}
	if found == "" {
		l.warn("--find-links %s is left out: there is no such folder in the project", quote(value))
		return
	}
	set.FindLinks = append(set.FindLinks, found)
}

// formatControl applies a --no-binary or --only-binary value to its list and
// takes the names out of the other list, which is what pip does.
func formatControl(value string, target, other []string) (newTarget, newOther []string) {
	for name := range strings.SplitSeq(value, ",") {
		switch name = strings.TrimFunc(name, isSpace); name {
		case "":
		case ":all:":
			target, other = []string{":all:"}, nil
		case ":none:":
			target = nil
		default:
			name = pep508.NormalizeName(name)
			other = slices.DeleteFunc(slices.Clone(other), func(s string) bool { return s == name })
			if !slices.Contains(target, name) {
				target = append(target, name)
			}
		}
	}
	return target, other
}
