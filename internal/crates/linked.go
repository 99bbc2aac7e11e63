package crates

import "strings"

// Linked are those of crates whose code becomes part of what is built from locks: what the project's own crates
// require of each other, and so on; neither procedural macros nor what only tests and build scripts
// need. members names, for each crate of the project's tree, the crates that it is linked with. All optional
// parts and all systems count, as they do in the locks: rather one too many is named than one too few.
func Linked(locks []*Lock, crates []Crate, members map[string][]string) []Crate {
	known := map[string]Crate{}
	for _, c := range crates {
		known[c.Name+" "+c.Version] = c
	}
	seen := map[string]bool{}
	for _, lock := range locks {
		byName := map[string][]Package{}
		var todo []Package
		for _, p := range lock.Packages {
			byName[p.Name] = append(byName[p.Name], p)
			if p.Own() {
				todo = append(todo, p)
			}
		}
		visited := map[string]bool{}
		for len(todo) > 0 {
			p := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			c := known[p.ID()]
			if visited[p.ID()] || c.ProcMacro {
				continue
			}
			visited[p.ID()] = true
			names, all := c.Linked, false
			if p.Own() {
				names = members[p.Name]
				all = names == nil // a crate that was not found in the tree
			} else {
				seen[p.ID()] = true
			}
			wanted := map[string]bool{}
			for _, name := range names {
				wanted[name] = true
			}
			for _, d := range p.Dependencies {
				name, rest, _ := strings.Cut(d, " ")
				version, _, _ := strings.Cut(rest, " ")
				for _, q := range byName[name] {
					if (all || wanted[name]) && (version == "" || q.Version == version) {
						todo = append(todo, q)
					}
				}
			}
		}
	}
	var list []Crate
	for _, c := range crates {
		if seen[c.Name+" "+c.Version] {
			list = append(list, c)
		}
	}
	return list
}
