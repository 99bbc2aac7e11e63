package reqfile

import (
	"context"
	"errors"
	"fmt"

	"reqpm/internal/pep508"
)

// noteGroups takes down which [dependency-groups] (PEP 735) there are.
func (p *pyproject) noteGroups() {
	groups := p.doc.get("dependency-groups")
	p.groups.known = append(p.groups.known, groups.names()...)
	if p.groups.at.File == "" {
		p.groups.at = Position{File: p.file}
		if groups.isTable() {
			p.groups.at.Line = groups.line
		}
	}
}

// wantedGroups reads the groups that were asked for.
func (p *pyproject) wantedGroups(ctx context.Context) {
	for _, name := range p.groups.names {
		if p.group(ctx, name, 0) {
			p.groups.found[pep508.NormalizeName(name)] = true
		}
	}
}

// group reads one group, once; false when there is none of that name.
func (p *pyproject) group(ctx context.Context, name string, depth int) bool {
	key := pep508.NormalizeName(name)
	groups := p.doc.get("dependency-groups")
	for _, written := range groups.names() {
		if pep508.NormalizeName(written) != key {
			continue
		}
		if visit := "group " + key; !p.entered[visit] {
			p.entered[visit] = true
			p.groupItems(ctx, groups.get(written), written, depth)
		}
		return true
	}
	return false
}

// groupItems reads requirement strings and {include-group = "name"} tables.
func (p *pyproject) groupItems(ctx context.Context, n *node, what string, depth int) {
	if !n.isArray() {
		p.fail(Position{p.file, n.line}, what, errors.New("a dependency group must be an array"))
		return
	}
	for _, item := range n.items {
		at := Position{p.file, max(item.line, n.line)}
		include := item.get("include-group")
		switch {
		case p.stopped(ctx):
			return
		case item.isString():
			p.dependency(ctx, item, "")
		case !include.isString():
			p.fail(at, what, errors.New(`must hold strings or {include-group = "name"}`))
		case depth >= maxDepth:
			p.fail(at, what, fmt.Errorf("%w: groups included more than %d deep", ErrTooLarge, maxDepth))
		case !p.group(ctx, include.text, depth+1):
			p.fail(at, include.text, errors.New("there is no such dependency group"))
		}
	}
}
